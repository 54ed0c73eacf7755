ARG BASE=python:3.14-slim

# compile-image has the compiler, and a virtualenv that is in none of its layers.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY . .
RUN --mount=type=cache,id=lesson-8-venv,target=/opt/venv \
    python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --requirement requirements.txt \
    && /opt/venv/bin/pip install --no-cache-dir --no-deps . \
    && /opt/venv/bin/hello

# runtime-image is what runs, or should.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
CMD ["hello"]
