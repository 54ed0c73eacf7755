LABEL org.opencontainers.image.title="{{ cookiecutter.project_slug }}" \
      org.opencontainers.image.description={{ cookiecutter.description | label }} \
      org.opencontainers.image.authors={{ (cookiecutter.author_name ~ " <" ~ cookiecutter.author_email ~ ">") | label }} \
      org.opencontainers.image.licenses="{{ cookiecutter.license | replace("Proprietary", "LicenseRef-Proprietary") }}"

# Do not buffer stdout. Otherwise Python would hold back up to 8 KiB of output, because stdout is not a terminal. Print
# a traceback if C code crashes. Libraries that write to HOME need a directory that any UID can write to.
ENV PYTHONUNBUFFERED=1 \
    PYTHONFAULTHANDLER=1 \
    HOME=/tmp

# Use a numeric UID: Kubernetes cannot verify that a named user is not root. All files belong to root, so the program
# cannot modify them; any other UID works as well.
USER 10001:10001

# Load every extension module of every installed distribution, and import the program, so that a missing system
# library or dependency fails the build instead of the first start.
ARG OPTIONAL_LIBRARIES
RUN python - <<'EOT'
import ctypes
import os
import sys
from importlib.metadata import distributions

optional = os.environ.get("OPTIONAL_LIBRARIES", "").split()
for distribution in distributions():
    for file in distribution.files or ():
        try:
            if file.suffix == ".so":
                ctypes.CDLL(str(file.locate()))
        except OSError as error:
            if not str(error).startswith(tuple(f"{library}:" for library in optional)):
                sys.exit(f"{file.locate()} could not be loaded: {error}")

import {{ cookiecutter.package_name }}.cli
EOT

# The base image may have an entry point, which would receive the command as its arguments.
ENTRYPOINT []
{% include "app/" ~ cookiecutter.app ~ "/run.dockerfile" -%}
