ARG BASE=python:3.14-slim

# compile-image contains the compiler and a virtualenv.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY . .
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --requirement requirements.txt \
    && /opt/venv/bin/pip install --no-cache-dir --no-deps .

# runtime-image starts from scratch, the smallest possible base image.
FROM scratch AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
CMD ["/opt/venv/bin/hello"]
