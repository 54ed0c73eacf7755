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
ENV UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_INSTALLER_METADATA=1
# Create a virtualenv whose scripts find the interpreter beside themselves.
RUN --mount=type=bind,source=requirements.txt,target=/requirements.txt \
    --mount=type=cache,id=lesson-13-uv,target=/root/.cache/uv \
    uv venv --relocatable /opt/venv \
    && uv pip sync --python /opt/venv --require-hashes /requirements.txt \
    && rm /opt/venv/.lock
COPY setup.py .
COPY src src
RUN --mount=type=cache,id=lesson-13-uv,target=/root/.cache/uv \
    uv pip install --python /opt/venv --no-deps . \
    && rm -f /opt/venv/.lock

# runtime-image contains the virtualenv at another path.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /app
ENV PATH=/app/bin:$PATH
USER 10001:10001
CMD ["hello"]
