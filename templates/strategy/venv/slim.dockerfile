# runtime-image is the final image: the base image, the dependencies, bytecode, and the project.
FROM ${BASE} AS runtime-image

# The base image may set another user.
USER 0

{% include "packages.dockerfile" %}
# This activates the virtualenv.
ENV PATH=/opt/venv/bin:$PATH

COPY --from=requirements-image /requirements/opt /opt

{% include "bytecode.dockerfile" %}
COPY --from=compile-image /app/opt /opt

{% include "runtime/slim/end.dockerfile" -%}
