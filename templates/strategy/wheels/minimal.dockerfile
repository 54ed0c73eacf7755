{% include "runtime/minimal/start.dockerfile" -%}
# Install from a bind mount, because COPY would keep the wheels in the image. pip compiles the packages that it installs,
# but must not write its own bytecode (PYTHONDONTWRITEBYTECODE). Use --no-deps, because requirements.txt lists all
# dependencies, and --force-reinstall, because the base image may contain one of them. Copy the files that this step
# wrote (they are newer than the wheels) to /requirements, and date them 1980-01-01.
RUN --mount=type=bind,from=compile-image,source=/deps,target=/wheels \
    export PYTHONDONTWRITEBYTECODE=1 SOURCE_DATE_EPOCH=315532800 \
    && mkdir -p /requirements/usr/local \
    && find /wheels -name '*.whl' -exec pip install --no-cache-dir --no-index --no-deps --force-reinstall {} + \
    && find /usr/local -newer /wheels ! -type d -exec cp -P --parents --target-directory /requirements {} + \
    && find /usr/local /requirements -newer /wheels -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

{% include "bytecode.dockerfile" %}
{% include "runtime/minimal/files.dockerfile" -%}
# project-image contains the files that pip installs from the wheel of the project, in /app.
FROM slim-image AS project-image

# This step fails if requirements.txt lacks a dependency, because pip has no index to look for it.
RUN --mount=type=bind,from=compile-image,source=/wheels,target=/wheels \
    export PYTHONDONTWRITEBYTECODE=1 SOURCE_DATE_EPOCH=315532800 \
    && mkdir -p /app/usr/local \
    && pip install --no-cache-dir --no-index /wheels/*.whl \
    && find /usr/local -newer /wheels ! -type d -exec cp -P --parents --target-directory /app {} + \
    && find /app -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

{% include "runtime/minimal/base.dockerfile" -%}
# Import nothing from HOME, where the program may write.
ENV PYTHONNOUSERSITE=1

COPY --from=slim-image /requirements/usr/local /usr/local
COPY --from=project-image /app/usr/local /usr/local

{% include "runtime/minimal/end.dockerfile" -%}
