# Both stages start from the same image: the virtualenv points to the interpreter it was made with.
ARG BASE=python:3.14-slim

# compiler is apart, so that the second build can leave it in the cache.
FROM ${BASE} AS compiler

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# compile-image gives everything one date: 1980, the first that a zip file can hold, as wheels are.
FROM compiler AS compile-image

ENV SOURCE_DATE_EPOCH=315532800
WORKDIR /src
# The build backend is locked as well: pip would get the newest one for each build.
COPY requirements-build.txt requirements.txt ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements-build.txt
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv install --no-cache-dir --require-hashes --requirement requirements.txt \
    && find /opt -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
COPY . .
RUN chmod -R u=rwX,go=rX . \
    && pip wheel --no-build-isolation --no-deps --wheel-dir /wheels . \
    && pip --python /opt/venv install --no-deps --prefix /app/opt/venv /wheels/*.whl \
    && find /app -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

# runtime-image is what runs: the same bytes at any time.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt /opt
COPY --from=compile-image /app/opt /opt
ENV PATH=/opt/venv/bin:$PATH
USER 10001:10001
CMD ["hello"]
