ARG BASE=python:3.14-slim

# compile-image compiles nothing. It lists the files that other builds have stored in a cache mount.
FROM ${BASE} AS compile-image

# Set another value to run the step again. With --no-cache, the mount would be empty.
ARG NOW
RUN --mount=type=cache,id=lesson-8-ccache,target=/mnt ls /mnt
