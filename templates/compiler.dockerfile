# The slim image brings the interpreter's headers, but no compiler. ccache keeps what was compiled: an
# edit of one C source compiles that one alone. Debian keeps only the newest version of a package, so
# a version pinned here would soon stop the build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ccache gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# The build backend and uv, at fixed versions. A bind mount shows the file without a layer of its
# own, and a cache mount keeps downloads between builds; neither ends up in an image. A requirement
# without a wheel is built by the same backend (by uv, and by pip 25.3 or later), which takes the
# versions without hashes, because what else a build needs is not locked.
RUN --mount=type=bind,source=requirements/build.txt,target=/requirements-build.txt \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --requirement /requirements-build.txt \
    && grep -o '^[^ ]*==[^ ]*' /requirements-build.txt >/build-constraints.txt
ENV PIP_BUILD_CONSTRAINT=/build-constraints.txt \
    UV_BUILD_CONSTRAINT=/build-constraints.txt

# Compiled modules are stripped: their debug information is larger than they are. Wheels, bytecode and
# files all get one date, 1980, the first that a zip file can hold: they are the same at any time.
ENV PATH=/usr/lib/ccache:$PATH \
    LDFLAGS=-Wl,--strip-all \
    SOURCE_DATE_EPOCH=315532800
