# Both stages use the same base image, because compiled wheels work only with the Python version they were built for.
ARG BASE=python:3.14-slim

# compile-image contains the compiler. Its bundle records the platform that it was built for.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /bundle
COPY requirements.txt .
RUN pip wheel --no-cache-dir --wheel-dir wheels --requirement requirements.txt
COPY . /src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir wheels /src

COPY <<'EOT' describe.py
import sys, sysconfig
print("CPython %d.%d for" % sys.version_info[:2], sysconfig.get_platform())
EOT

RUN python3 describe.py >PLATFORM

COPY <<'EOT' install.sh
set -eu
cd "$(dirname "$0")"
found=$(python3 describe.py)
if [ "$found" != "$(cat PLATFORM)" ]; then
    echo "install.sh: this is $found, the bundle is for $(cat PLATFORM)." >&2
    exit 1
fi
python3 -m venv "$1"
"$1/bin/pip" install --quiet --no-index wheels/*.whl
EOT

WORKDIR /dist
RUN tar --create --gzip --file hello.tar.gz --directory / bundle

# artifacts contains only the tarball, which can be exported.
FROM scratch AS artifacts

COPY --from=compile-image /dist /

# runtime-image contains the packages, installed from the same bundle.
FROM ${BASE} AS runtime-image

RUN --mount=type=bind,from=compile-image,source=/bundle,target=/bundle sh /bundle/install.sh /opt/venv
ENV PATH=/opt/venv/bin:$PATH
CMD ["hello"]
