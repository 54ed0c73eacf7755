ARG BASE=python:3.14-slim

# compile-image links the C library into the binary.
FROM ${BASE} AS compile-image

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

COPY hello.c /hello.c
RUN gcc -Wall -Wextra -O2 -s -static -o /hello /hello.c

# runtime-image contains only the binary: no shell and no other files.
FROM scratch AS runtime-image

COPY --from=compile-image /hello /hello
USER 10001:10001
CMD ["/hello"]
