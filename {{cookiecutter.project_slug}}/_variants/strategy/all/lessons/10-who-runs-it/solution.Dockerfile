# Both stages use the same base image, because the virtualenv links to the interpreter that created it.
ARG BASE=python:3.14-slim

# compile-image contains the compiler. All files belong to root.
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

# runtime-image runs as a non-root user.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
COPY --from=compile-image /app/opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# A numeric UID needs no /etc/passwd entry, and is visibly not root.
USER 10001:10001
# Without an /etc/passwd entry, the home directory is /, which is not writable.
ENV HOME=/tmp
CMD ["hello"]
