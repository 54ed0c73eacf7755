ARG BASE=python:3.14-slim

# compile-image compiles nothing. It lists the files that other builds have stored in a cache mount.
FROM ${BASE} AS compile-image

# Pass another value of NOW to run the step again. Do not use --no-cache, because the cache mount would then be empty.
ARG NOW
RUN --mount=type=cache,id=lesson-8-ccache,target=/mnt ls /mnt
