# Both stages use the same base image, because the virtualenv links to the interpreter that created it.
ARG BASE=python:3.14-slim

# compile-image contains the compiler and uv. Only the virtualenv is copied to runtime-image.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY requirements-uv.txt .
RUN pip install --no-cache-dir --require-hashes --requirement requirements-uv.txt
# The project asks for a version of Python that the base image does not contain.
ENV UV_PYTHON_DOWNLOADS=never
RUN uv venv --python 3.13 /opt/venv

# runtime-image contains only the version of the base image.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
CMD ["hello"]
