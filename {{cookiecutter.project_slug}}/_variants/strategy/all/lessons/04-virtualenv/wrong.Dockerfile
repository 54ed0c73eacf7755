ARG BASE=python:3.14-slim

# compile-image activates the virtualenv in a shell that exits at the end of its RUN instruction.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

RUN python -m venv /opt/venv
# hadolint ignore=DL3059
RUN . /opt/venv/bin/activate

WORKDIR /src
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps .

# runtime-image contains a virtualenv without the packages.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
CMD ["hello"]
