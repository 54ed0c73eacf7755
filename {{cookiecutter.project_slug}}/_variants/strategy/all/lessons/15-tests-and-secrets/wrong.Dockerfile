ARG BASE=python:3.14-slim

# compile-image gets the password as a build argument.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

RUN python -m venv --without-pip /opt/venv

WORKDIR /src
COPY requirements.txt .
ARG NETRC
# Write the password to a file, and delete the file in the same step, so that no layer contains it.
RUN echo "$NETRC" >/root/.netrc \
    && pip --python /opt/venv install --no-cache-dir --requirement requirements.txt \
    && rm /root/.netrc
COPY . .
RUN pip --python /opt/venv install --no-cache-dir --no-deps .

# runtime-image does not contain the password.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
USER 10001:10001
CMD ["hello"]
