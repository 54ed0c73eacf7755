# runtime-image is the final image: the base image, the dependencies, bytecode, and the project.
FROM ${BASE} AS runtime-image

# The base image may set another user.
USER 0

{% include "packages.dockerfile" %}
# Python looks for packages below PYTHONUSERBASE, whichever user runs it and whatever HOME is.
ENV PYTHONUSERBASE=/opt/user \
    PATH=/opt/user/bin:$PATH

COPY --from=requirements-image /requirements/opt /opt

{% include "bytecode.dockerfile" %}
COPY --from=compile-image /app/opt /opt

{% include "runtime/slim/end.dockerfile" -%}
