# The base image may have an entry point, which would receive the command as its arguments.
ENTRYPOINT []
{% include "app/" ~ cookiecutter.app ~ "/run.dockerfile" -%}
