{% include "metadata.dockerfile" -%}
# Load every extension module of every installed distribution, and import the program, so that a missing system
# library or dependency fails the build instead of the first start.
ARG OPTIONAL_LIBRARIES
RUN --mount=type=bind,from=slim-image,source=/check.py,target=/check.py ["python", "/check.py"]

{% include "run.dockerfile" %}
# debug-image adds a shell, to debug the program: `docker run --interactive --tty`. Its default command is Python.
FROM slim-image AS debug-image

COPY --from=runtime-image / /
