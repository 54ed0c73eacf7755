ARG BASE=python:3.14-slim

# compile-image has platter itself, as its author published it in 2018.
FROM ${BASE} AS compile-image

RUN pip install --no-cache-dir platter==1.0
# hadolint ignore=DL3059
RUN platter --help
