# The first two stages use the same base image, because the virtualenv links to its interpreter.
ARG BASE=python:3.14-slim

# compile-image contains the compiler. Only its virtualenv is copied to slim-image.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

RUN python -m venv --without-pip /opt/venv
WORKDIR /src
COPY requirements.txt .
RUN pip --python /opt/venv install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip --python /opt/venv install --no-cache-dir --no-deps .

# slim-image is the image of the previous lessons. It collects the files of the small image in /minimal.
FROM ${BASE} AS slim-image

COPY --from=compile-image /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Copy the interpreter under all its names, the standard library, and the dynamic linker's cache of library paths. Leave
# out pip and the files for linking with Python.
RUN interpreter=$(readlink -f /usr/local/bin/python) \
    && library=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
    && mkdir /minimal \
    && cp --archive --parents "$interpreter" /usr/local/bin/python* "$library" /etc/ld.so.cache /minimal \
    && rm -r "/minimal$library"/{config-*,ensurepip} \
    && rm -rf "/minimal$library/site-packages" \
# Copy every shared library that the interpreter or an extension module is linked with.
    && find "$library" /opt/venv -name '*.so' -exec ldd "$interpreter" {} + \
        | grep --only-matching '/[^ ]* (0x' \
        | cut --delimiter=' ' --fields=1 \
        | sort --unique \
        | xargs cp --dereference --parents --target-directory /minimal

# Copy the files that the standard library opens by name: time zones and CA certificates.
RUN cp --archive --parents /usr/share/zoneinfo /etc/ssl/certs/ca-certificates.crt /minimal

# runtime-image contains Python, the libraries and the program, but no shell and no package manager.
FROM scratch AS runtime-image

COPY --from=slim-image /minimal /
COPY --from=slim-image /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:/usr/local/bin \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 10001:10001
CMD ["hello"]
