# A compiled module that cannot load fails the build, not the first start.
RUN ["python", "-c", "import {{ cookiecutter.package_name }}"]

EXPOSE 8000
HEALTHCHECK --start-period=10s CMD ["python", "-P", "-m", "{{ cookiecutter.package_name }}.service.healthcheck"]
CMD ["{{ cookiecutter.project_slug }}", "serve"]
