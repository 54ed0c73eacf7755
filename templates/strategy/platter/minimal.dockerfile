{% include "runtime/minimal/start.dockerfile" -%}
ENV PATH=/opt/venv/bin:$PATH

# Install from a bind mount, because COPY would keep the bundle in the image. Copy the virtualenv (as hard links, cp -l)
# to a directory of its own, because the base image may have other files in /opt. Date its files 1980-01-01.
RUN --mount=type=bind,from=compile-image,source=/requirements,target=/bundle \
    export SOURCE_DATE_EPOCH=315532800 \
    && sh /bundle/install.sh /opt/venv \
    && mkdir -p /requirements/opt \
    && cp -al /opt/venv /requirements/opt \
    && find /opt /requirements -newer /bundle -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

{% include "bytecode.dockerfile" %}
{% include "runtime/minimal/files.dockerfile" -%}
# project-image contains the files that the installer adds for the project, in /app. They are newer than the bundle.
FROM slim-image AS project-image

RUN --mount=type=bind,from=compile-image,source=/bundle,target=/bundle \
    export SOURCE_DATE_EPOCH=315532800 \
    && mkdir -p /app/opt \
    && sh /bundle/install.sh /opt/venv \
    && find /opt -newer /bundle ! -type d -exec cp -P --parents --target-directory /app {} + \
    && find /app -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

{% include "runtime/minimal/base.dockerfile" -%}
ENV PATH=/opt/venv/bin:$PATH

COPY --from=slim-image /requirements/opt /opt
COPY --from=project-image /app/opt /opt

{% include "runtime/minimal/end.dockerfile" -%}
