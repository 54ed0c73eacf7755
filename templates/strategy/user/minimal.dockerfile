{% include "runtime/minimal/start.dockerfile" -%}
# Python looks for packages below PYTHONUSERBASE, whichever user runs it and whatever HOME is.
ENV PYTHONUSERBASE=/opt/user \
    PATH=/opt/user/bin:$PATH

COPY --from=requirements-image /requirements/opt /opt

{% include "bytecode.dockerfile" %}
{% include "runtime/minimal/files.dockerfile" -%}
{% include "runtime/minimal/base.dockerfile" -%}
ENV PYTHONUSERBASE=/opt/user \
    PATH=/opt/user/bin:$PATH

COPY --from=requirements-image /requirements/opt /opt
COPY --from=compile-image /app/opt /opt

{% include "runtime/minimal/end.dockerfile" -%}
