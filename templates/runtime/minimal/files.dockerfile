# Copy Python, its standard library, the shared libraries that they and the packages are linked with, certificates and
# time zones to /minimal. Do not write bytecode (-B), which the program may not need.
RUN --mount=type=bind,source=deploy/minimal.py,target=/minimal.py \
    --mount=type=bind,from=compile-image,source=/packages,target=/packages \
    xargs python -B /minimal.py /minimal </packages

# runtime-image runs this script, but contains no shell that could pass it to Python.
COPY <<'EOT' /check.py
{% include "check.dockerfile" -%}
EOT

