{% include "runtime/minimal/start.dockerfile" -%}
ENV PATH=/opt/venv/bin:$PATH

COPY --from=requirements-image /requirements/opt /opt

{% include "bytecode.dockerfile" %}
{% include "runtime/minimal/files.dockerfile" -%}
{% include "runtime/minimal/base.dockerfile" -%}
ENV PATH=/opt/venv/bin:$PATH

COPY --from=requirements-image /requirements/opt /opt
COPY --from=compile-image /app/opt /opt

{% include "runtime/minimal/end.dockerfile" -%}
