ARG BASE=python:3.14-slim

# compile-image contains the compiler and pex. Only a virtualenv is copied to runtime-image.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY requirements-pex.txt .
RUN pip install --no-cache-dir --requirement requirements-pex.txt
COPY requirements.txt .
RUN pip wheel --no-cache-dir --wheel-dir /wheels --requirement requirements.txt
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels --no-deps . \
    && pex --pre-resolved-dists /wheels --requirement requirements.in \
        --script hello --output-file /dist/hello hello
RUN pex3 venv create --dir /opt/venv --pex-repository /dist/hello

# runtime-image adds the unpacked pex file to the base image.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
USER 10001:10001
CMD ["hello"]
