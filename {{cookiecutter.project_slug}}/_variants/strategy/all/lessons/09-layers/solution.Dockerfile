# Both stages start from the same image: the virtualenv points to the interpreter it was made with.
ARG BASE=python:3.14-slim

# compile-image has the compiler; its last step sees what the package is made of, and no more.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

WORKDIR /src
# What changes rarely comes first: this step sees requirements.txt alone.
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
COPY setup.py .
COPY src src
# The app lies beside the virtualenv, under /app/opt/venv. Its script still names /opt/venv/bin/python.
RUN pip install --no-cache-dir --no-deps --prefix /app/opt/venv .

# runtime-image is what runs: the base, a layer of requirements, and a small one of the app.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
COPY --from=compile-image /app/opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
CMD ["hello"]
