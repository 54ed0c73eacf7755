# A base image for a room without a network: it contains everything that the lessons download.
ARG BASE=python:3.14-slim

# debian-packages contains the compiler and ccache, with an index that apt can read.
FROM ${BASE} AS debian-packages

WORKDIR /offline/debian
# hadolint ignore=DL3008
RUN mkdir partial \
    && apt-get update \
    && apt-get install --yes --no-install-recommends --download-only --option Dir::Cache::archives="$PWD" \
        ccache gcc libc6-dev \
    && apt-get install --yes --no-install-recommends apt-utils \
    && rm -r lock partial \
    && apt-ftparchive packages . >Packages

# python-packages contains the requirements of all lessons, and the packages that lessons 7 and 14 download.
FROM ${BASE} AS python-packages

WORKDIR /offline/python
COPY requirements*.txt /requirements/
RUN for file in /requirements/*.txt; do pip download --no-cache-dir --require-hashes --requirement "$file" || exit; done \
    && pip download --no-cache-dir platter==1.0 \
    && pip download --no-cache-dir --no-deps --only-binary :all: --platform manylinux2014_x86_64 google-crc32c

# offline-image replaces the package repositories with these directories. It trusts the first one without a signature.
FROM ${BASE} AS offline-image

COPY --from=debian-packages /offline/debian /offline/debian
COPY --from=python-packages /offline/python /offline/python
RUN rm -rf /etc/apt/sources.list.d \
    && echo 'deb [trusted=yes] file:/offline/debian ./' >/etc/apt/sources.list \
    && printf '[global]\nno-index = true\nfind-links = /offline/python\n' >/etc/pip.conf \
    && mkdir -p /etc/uv \
    && printf 'no-index = true\nfind-links = ["/offline/python"]\n' >/etc/uv/uv.toml
