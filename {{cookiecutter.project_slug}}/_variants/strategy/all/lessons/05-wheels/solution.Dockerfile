ARG BASE=python:3.14-slim

# compile-image has the compiler; only the wheels go on from here.
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

# artifacts holds the wheels and nothing else: it is copied out of the build, and no image.
FROM scratch AS artifacts

COPY --from=compile-image /wheels /

# runtime-image is what runs.
FROM ${BASE} AS runtime-image

# Requirements change rarely, and hello often: each has a layer of its own.
RUN --mount=type=bind,from=compile-image,source=/wheels,target=/wheels \
    --mount=type=bind,source=requirements.txt,target=/requirements.txt \
    pip install --no-cache-dir --no-index --find-links /wheels --requirement /requirements.txt
RUN --mount=type=bind,from=compile-image,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index /wheels/hello-*.whl
CMD ["hello"]
