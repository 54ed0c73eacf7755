# Both stages start from the same image: the virtualenv points to the interpreter it was made with.
ARG BASE=python:3.14-slim

# compiler is apart, so that the second build can leave it in the cache.
FROM ${BASE} AS compiler

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# compile-image says nowhere which time it is to be, or which build backend to take.
FROM compiler AS compile-image

WORKDIR /src
COPY requirements.txt .
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip --python /opt/venv install --no-cache-dir --no-deps --prefix /app/opt/venv .

# runtime-image is what runs: other bytes each time.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt /opt
COPY --from=compile-image /app/opt /opt
ENV PATH=/opt/venv/bin:$PATH
USER 10001:10001
CMD ["hello"]
