# runtime-image is the final image: the base image, the dependencies, bytecode, and the project.
FROM ${BASE} AS runtime-image

# The base image may set another user.
USER 0

{% include "packages.dockerfile" %}
# Install from a bind mount, because COPY would keep the wheels in the image. Two steps make two layers, so that a
# change to the source changes only the second. pip compiles the packages that it installs, but must not write its own
# bytecode (PYTHONDONTWRITEBYTECODE). Use --no-deps, because requirements.txt lists all dependencies. Date the files
# that this step wrote (they are newer than the wheels) 1980-01-01.
RUN --mount=type=bind,from=compile-image,source=/deps,target=/wheels \
    export PYTHONDONTWRITEBYTECODE=1 SOURCE_DATE_EPOCH=315532800 \
    && find /wheels -name '*.whl' -exec pip install --no-cache-dir --no-index --no-deps {} + \
    && find /usr/local -newer /wheels -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

{% include "bytecode.dockerfile" %}
# This step fails if requirements.txt lacks a dependency, because pip has no index to look for it.
RUN --mount=type=bind,from=compile-image,source=/wheels,target=/wheels \
    export PYTHONDONTWRITEBYTECODE=1 SOURCE_DATE_EPOCH=315532800 \
    && pip install --no-cache-dir --no-index /wheels/*.whl \
    && find /usr/local -newer /wheels -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

# Import nothing from HOME, where the program may write.
ENV PYTHONNOUSERSITE=1

{% include "runtime/slim/end.dockerfile" -%}
