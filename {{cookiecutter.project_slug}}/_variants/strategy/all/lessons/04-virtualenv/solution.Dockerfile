ARG BASE=python:3.14-slim

# compile-image creates the virtualenv at its final path.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

RUN python -m venv /app
ENV PATH=/app/bin:$PATH

WORKDIR /src
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps .

# runtime-image contains the virtualenv at the same path.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /app /app
ENV PATH=/app/bin:$PATH
CMD ["hello"]
