# development-image contains a compiler, a debugger, and an editable install, for work on the project. No other stage
# uses it; docs/debugging.md explains how to use it.
FROM requirements-image AS development-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ gdb git make \
    && rm -rf /var/lib/apt/lists/*

# Keep debug information. The Makefile builds without isolation, and pip then rejects build constraints.
ENV CFLAGS="-Og -g" \
    CXXFLAGS="-Og -g" \
    LDFLAGS="" \
    PIP_BUILD_CONSTRAINT=""

WORKDIR /project
COPY Makefile requirements.txt ./
COPY requirements requirements
RUN --mount=type=cache,target=/root/.cache \
    --mount=type=secret,id=netrc,target=/root/.netrc \
    --mount=type=secret,id=pip,target=/root/.config/pip/pip.conf \
    --mount=type=secret,id=uv,target=/root/.config/uv/uv.toml \
    make .venv/ready

COPY . .
RUN make .venv/installed
