ARG BASE=python:3.14-slim

# compile-image contains the compiler, as in lesson 9.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

WORKDIR /src
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --prefix /app/opt/venv .

# runtime-image runs as a named user, who owns the program.
FROM ${BASE} AS runtime-image

COPY --from=compile-image --chown=10001:10001 /opt/venv /opt/venv
COPY --from=compile-image --chown=10001:10001 /app/opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# hadolint ignore=DL3066
USER hello
CMD ["hello"]
