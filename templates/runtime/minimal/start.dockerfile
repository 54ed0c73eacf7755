# slim-image contains the base image, system libraries, the dependencies, and bytecode. Only some of its files become
# part of the final image.
FROM ${BASE} AS slim-image

# The base image may set another user. The program does not run in this stage.
# hadolint ignore=DL3002
USER 0

{% include "packages.dockerfile" %}
