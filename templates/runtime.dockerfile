LABEL org.opencontainers.image.title="{{ cookiecutter.project_slug }}" \
      org.opencontainers.image.description={{ cookiecutter.description | label }} \
      org.opencontainers.image.authors={{ (cookiecutter.author_name ~ " <" ~ cookiecutter.author_email ~ ">") | label }} \
      org.opencontainers.image.licenses="{{ cookiecutter.license | replace("Proprietary", "LicenseRef-Proprietary") }}"

# Log lines leave at once, not when a buffer is full.
ENV PYTHONUNBUFFERED=1

# A number, because Kubernetes cannot tell whether a name is root. Everything above belongs to
# root, so the program cannot change its own files; any other number works as well.
USER 10001:10001

{% include "app/" ~ cookiecutter.app ~ "/run.dockerfile" -%}
