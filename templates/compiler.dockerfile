# The slim image brings the interpreter's headers, but no compiler. Debian keeps only the newest
# version of a package, so a version pinned here would soon stop the build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# The build backend and uv, at fixed versions. A bind mount shows the file without a layer of its
# own, and a cache mount keeps downloads between builds; neither ends up in an image.
RUN --mount=type=bind,source=requirements-build.txt,target=/requirements-build.txt \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --requirement /requirements-build.txt

# Compiled modules are stripped: their debug information is larger than they are.
ENV LDFLAGS=-Wl,--strip-all
