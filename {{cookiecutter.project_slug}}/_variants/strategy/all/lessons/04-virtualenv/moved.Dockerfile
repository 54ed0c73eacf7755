ARG BASE=python:3.14-slim

# compile-image creates the virtualenv in /opt/venv.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

WORKDIR /src
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps .

# runtime-image contains the virtualenv at a different path.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /app
ENV PATH=/app/bin:$PATH
CMD ["hello"]
