# Both stages use the same base image, because the virtualenv links to the interpreter that created it.
ARG BASE=python:3.14-slim

# compiler is a separate stage, so that the second build can use it from the cache.
FROM ${BASE} AS compiler

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# compile-image sets neither a timestamp nor the version of the build backend.
FROM compiler AS compile-image

WORKDIR /src
COPY requirements.txt .
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip --python /opt/venv install --no-cache-dir --no-deps --prefix /app/opt/venv .

# runtime-image contains different bytes in every build.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt /opt
COPY --from=compile-image /app/opt /opt
ENV PATH=/opt/venv/bin:$PATH
USER 10001:10001
CMD ["hello"]
