# Another base image for runtime-image, which needs no shell, but the same interpreter at the same path as BASE.
ARG RUNTIME_BASE=minimal-base
