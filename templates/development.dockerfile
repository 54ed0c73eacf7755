# development-image is for work on the project: a compiler, a debugger, and an editable install. No other stage uses
# it; docs/debugging.md explains how to.
FROM requirements-image AS development-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ gdb git make \
    && rm -rf /var/lib/apt/lists/*

# Keep debug information. The Makefile builds with the locked backend, for which pip accepts no constraint.
ENV CFLAGS="-Og -g" \
    CXXFLAGS="-Og -g" \
    LDFLAGS="" \
    PIP_BUILD_CONSTRAINT=""

WORKDIR /project
COPY Makefile requirements.txt ./
COPY requirements requirements
RUN --mount=type=cache,target=/root/.cache/pip \
    make .venv/ready

COPY . .
RUN make .venv/installed
