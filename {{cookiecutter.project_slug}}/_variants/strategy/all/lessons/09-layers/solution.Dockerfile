# Both stages use the same base image, because the virtualenv links to the interpreter that created it.
ARG BASE=python:3.14-slim

# compile-image contains the compiler. Its last step depends only on the files that the package is built from.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

WORKDIR /src
# Install dependencies first, because they change less often. This step depends only on requirements.txt.
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
COPY setup.py .
COPY src src
# Install the app under /app/opt/venv, to make it a separate layer. Its script still uses /opt/venv/bin/python.
RUN pip install --no-cache-dir --no-deps --prefix /app/opt/venv .

# runtime-image adds a layer with the dependencies and a small layer with the app.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
COPY --from=compile-image /app/opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
CMD ["hello"]
