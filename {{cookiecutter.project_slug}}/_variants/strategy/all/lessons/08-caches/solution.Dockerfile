ARG BASE=python:3.14-slim

# compile-image compiles nothing: it lists what other builds have left in a cache mount.
FROM ${BASE} AS compile-image

# Another value makes the step run again; --no-cache would, too, but with an empty mount.
ARG NOW
RUN --mount=type=cache,id=lesson-8-ccache,target=/mnt ls /mnt
