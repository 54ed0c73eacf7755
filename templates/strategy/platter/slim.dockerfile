# runtime-image is the final image: the base image, the dependencies, bytecode, and the project.
FROM ${BASE} AS runtime-image

# The base image may set another user.
USER 0

{% include "packages.dockerfile" %}
ENV PATH=/opt/venv/bin:$PATH

# Install from a bind mount, because COPY would keep the bundle in the image. Two steps make two layers, and
# the second adds only the project. Date the files that a step wrote (they are newer than the bundle) 1980-01-01.
RUN --mount=type=bind,from=compile-image,source=/requirements,target=/bundle \
    export SOURCE_DATE_EPOCH=315532800 \
    && sh /bundle/install.sh /opt/venv \
    && find /opt -newer /bundle -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

{% include "bytecode.dockerfile" %}
RUN --mount=type=bind,from=compile-image,source=/bundle,target=/bundle \
    export SOURCE_DATE_EPOCH=315532800 \
    && sh /bundle/install.sh /opt/venv \
    && find /opt -newer /bundle -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

{% include "runtime/slim/end.dockerfile" -%}
