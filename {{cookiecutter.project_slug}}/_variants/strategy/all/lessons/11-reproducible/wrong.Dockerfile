# Both stages start from the same image: the virtualenv points to the interpreter it was made with.
ARG BASE=python:3.14-slim

# compiler is apart, so that the second build can leave it in the cache.
FROM ${BASE} AS compiler

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# compile-image is that of lesson 10: nothing says when it was made, or with which backend.
FROM compiler AS compile-image

RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

WORKDIR /src
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --prefix /app/opt/venv .

# runtime-image is what runs: other bytes each time.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
COPY --from=compile-image /app/opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
USER 10001:10001
CMD ["hello"]
