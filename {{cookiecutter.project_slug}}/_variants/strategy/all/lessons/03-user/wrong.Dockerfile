ARG BASE=python:3.14-slim

# compile-image already contains rich in /usr/local, for example because a build tool needs it.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
# hadolint ignore=DL3059
RUN pip install --user --no-cache-dir --no-warn-script-location --requirement requirements.txt
COPY . .
RUN pip install --user --no-cache-dir --no-warn-script-location --no-deps .

# runtime-image contains the user directory, but no rich in /usr/local.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /root/.local /root/.local
ENV PATH=/root/.local/bin:$PATH
CMD ["hello"]
