ARG BASE=python:3.14-slim

# compile-image installs the packages into the system's Python.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps .

# runtime-image contains the package directory, but no scripts.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /usr/local/lib/python3.14 /usr/local/lib/python3.14
CMD ["hello"]
