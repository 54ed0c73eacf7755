# Both stages start from the same image: the virtualenv points to the interpreter it was made with.
ARG BASE=python:3.14-slim

# compile-image has the compiler, and everything here belongs to root.
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
RUN pip install --no-cache-dir --no-deps --prefix /app/opt/venv .

# runtime-image is what runs, and not as root.
FROM ${BASE} AS runtime-image

COPY --from=compile-image /opt/venv /opt/venv
COPY --from=compile-image /app/opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# A number needs no entry in /etc/passwd, and whoever reads it sees that it is not root.
USER 10001:10001
# Without an entry in /etc/passwd, home is /, where nobody may write.
ENV HOME=/tmp
CMD ["hello"]
