ARG BASE=python:3.14-slim

# compile-image has the compiler, and one step that installs everything.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

WORKDIR /src
COPY . .
RUN pip install --no-cache-dir --requirement requirements.txt
# hadolint ignore=DL3059
RUN pip install --no-cache-dir --no-deps .

# runtime-image is what runs: the base, and one layer of everything.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
CMD ["hello"]
