ARG BASE=python:3.14-slim

# compile-image compiles nothing: it lists what another build has left in its cache mount.
FROM ${BASE} AS compile-image

RUN --mount=type=cache,id=lesson-8-ccache,target=/mnt ls /mnt
