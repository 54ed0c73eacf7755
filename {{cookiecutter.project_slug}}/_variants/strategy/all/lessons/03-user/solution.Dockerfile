ARG BASE=python:3.14-slim

# compile-image installs the packages into a directory that every user can read.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

ENV PYTHONUSERBASE=/opt/user

WORKDIR /src
COPY requirements.txt .
RUN pip install --user --no-cache-dir --no-warn-script-location --requirement requirements.txt
COPY . .
RUN pip install --user --no-cache-dir --no-warn-script-location --no-deps .

# runtime-image uses the same path, which does not depend on the user.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/user /opt/user
ENV PYTHONUSERBASE=/opt/user \
    PATH=/opt/user/bin:$PATH
USER 10001:10001
CMD ["hello"]
