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

