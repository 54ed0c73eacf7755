ARG BASE=python:3.14-slim

# compile-image installs platter 1.0, which was published in 2018.
FROM ${BASE} AS compile-image

RUN pip install --no-cache-dir platter==1.0 \
    && platter --help
