# The base image may set another user, but apt-get needs root. The program does not run in this stage.
# hadolint ignore=DL3002
USER 0

# Add the packages that your code and your dependencies need to compile: g++ for C++, or the -dev packages of
# libraries, such as libpq-dev. The final image then contains the libraries themselves. The base image includes the
# Python headers but no compiler. ccache caches object files, so that only changed C files are recompiled. Package
# versions are not pinned, because Debian removes old versions and the build would soon fail. Reject podman versions
# before 5.4, because they do not notice that a mounted file has changed.
# hadolint ignore=DL3008
RUN if grep --no-messages --extended-regexp 'buildah-1\.([0-9]|[12][0-9]|3[0-8])\.' /run/.containerenv; then \
        echo 'This version of podman may reuse outdated build steps. Use podman 5.4 or later.' && exit 1; \
    fi \
    && apt-get update \
    && apt-get install --yes --no-install-recommends ccache gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# Install the locked build backend and uv. The bind mount provides the lock files and the cache mount keeps downloads
# between builds, without a layer for either. The secrets, for a private package index, are optional. Dependencies
# without a wheel are built with the versions in build-constraints.txt, without hashes, because such builds may also
# need packages that are not locked.
RUN --mount=type=bind,source=requirements/build.txt,target=/requirements/build.txt \
    --mount=type=bind,source=requirements/build-constraints.txt,target=/requirements/build-constraints.txt \
    --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=netrc,target=/root/.netrc \
    --mount=type=secret,id=pip,target=/root/.config/pip/pip.conf \
    pip install --require-hashes --requirement /requirements/build.txt \
    && sed -n 's/^\([^ ]*==[^ ]*\).*/\1/p' /requirements/build-constraints.txt >/build-constraints.txt

# Strip extension modules: their debug information is larger than their code. `--build-arg LDFLAGS=` keeps it.
ARG LDFLAGS=-Wl,--strip-all

# Put ccache before gcc on PATH. Date all files 1980-01-01, the earliest date that a zip file can store, so that builds
# are reproducible. Make uv trust the certificate authorities of the base image.
ENV PATH=/usr/lib/ccache:$PATH \
    SOURCE_DATE_EPOCH=315532800 \
    UV_SYSTEM_CERTS=1
