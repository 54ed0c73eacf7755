ARG BASE=python:3.14-slim

# compile-image contains the compiler. Only the wheels are passed to runtime-image.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY requirements.txt .
RUN pip wheel --no-cache-dir --wheel-dir /wheels --requirement requirements.txt
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels --no-deps .

# runtime-image adds the wheels in one layer, installs them in a second, and deletes them in a third.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /wheels /wheels
RUN pip install --no-cache-dir --no-index /wheels/*.whl
# hadolint ignore=DL3059
RUN rm -r /wheels
CMD ["hello"]
