{% include "metadata.dockerfile" -%}
# Load every extension module of every installed distribution, and import the program, so that a missing system
# library or dependency fails the build instead of the first start.
ARG OPTIONAL_LIBRARIES
RUN --mount=type=bind,from=slim-image,source=/check.py,target=/check.py ["python", "/check.py"]

{% include "run.dockerfile" %}
# debug-image is runtime-image with the shell and programs of the base image; docs/debugging.md explains how to use it.
FROM runtime-image AS debug-image

# hadolint ignore=DL3067
COPY --from=slim-image / /
