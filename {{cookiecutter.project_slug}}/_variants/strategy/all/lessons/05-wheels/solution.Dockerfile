ARG BASE=python:3.14-slim

# compile-image contains the compiler. It writes the wheels of the dependencies and of hello to two directories.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY requirements.txt .
RUN pip wheel --no-cache-dir --wheel-dir /deps --requirement requirements.txt
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels --no-deps .

# artifacts contains only the wheels. It is exported as files, not as an image.
FROM scratch AS artifacts

COPY --from=compile-image /deps /
COPY --from=compile-image /wheels /

# runtime-image contains the installed packages.
FROM ${BASE} AS runtime-image

# Install the dependencies and hello in separate layers, because the dependencies change less often. The first step does
# not run again if hello changes, because /deps does not contain hello.
RUN --mount=type=bind,from=compile-image,source=/deps,target=/deps \
    pip install --no-cache-dir --no-index /deps/*.whl
RUN --mount=type=bind,from=compile-image,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index /wheels/*.whl
CMD ["hello"]
