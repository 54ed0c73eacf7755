# slim-image contains the base image, system libraries, the dependencies, and bytecode. Only some of its files become
# part of the final image.
FROM ${BASE} AS slim-image

# The base image may set another user.
USER 0

{% include "packages.dockerfile" %}
