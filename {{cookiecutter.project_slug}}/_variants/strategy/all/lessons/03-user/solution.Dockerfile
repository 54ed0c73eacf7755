ARG BASE=python:3.14-slim

# compile-image installs below a folder that anybody may read.
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

# runtime-image finds it in the same place, whoever runs it.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/user /opt/user
ENV PYTHONUSERBASE=/opt/user \
    PATH=/opt/user/bin:$PATH
USER 10001:10001
CMD ["hello"]
