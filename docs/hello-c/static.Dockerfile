# Two stages again, and the second starts from nothing: a static binary brings its C library.
#
#   docker build --file static.Dockerfile --tag hello:static . && docker run --rm hello:static

ARG BASE=debian:trixie-slim

# compile-image has the compiler, and is left behind when the binary is linked.
FROM ${BASE} AS compile-image

# Debian keeps only the newest version of a package: one pinned here would soon stop the build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

COPY hello.c /hello.c
RUN gcc -Wall -Wextra -O2 -s -static -o /hello /hello.c

# runtime-image is what runs: one file, with no shell and no system around it.
FROM scratch AS runtime-image

COPY --from=compile-image /hello /hello
USER 10001:10001
CMD ["/hello"]
