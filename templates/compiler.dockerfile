# The slim image brings the interpreter's headers, but no compiler. ccache keeps what was compiled: an
# edit of one C source compiles that one alone. Debian keeps only the newest version of a package, so
# a version pinned here would soon stop the build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ccache gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# The build backend and uv, at fixed versions. A cache mount keeps downloads between builds, and does
# not end up in an image. A requirement that has no wheel is built with the same backend (by uv, and
# by pip 25.3 and later).
COPY requirements-build.txt /
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --requirement /requirements-build.txt
ENV PIP_BUILD_CONSTRAINT=/requirements-build.txt \
    UV_BUILD_CONSTRAINT=/requirements-build.txt

# Compiled modules are stripped: their debug information is larger than they are. And whenever this
# is built, it comes out the same, because wheels, bytecode and files all get one date: 1980, the
# first that a zip file can hold.
ENV PATH=/usr/lib/ccache:$PATH \
    LDFLAGS=-Wl,--strip-all \
    SOURCE_DATE_EPOCH=315532800
