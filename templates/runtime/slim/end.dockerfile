{% include "metadata.dockerfile" -%}
# Load every extension module of every installed distribution, and import the program, so that a missing system
# library or dependency fails the build instead of the first start.
ARG OPTIONAL_LIBRARIES
RUN python - <<'EOT'
{% include "check.dockerfile" -%}
EOT

{% include "run.dockerfile" -%}
