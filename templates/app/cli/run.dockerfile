# A compiled module that cannot load fails the build, not the first start.
RUN ["python", "-c", "import {{ cookiecutter.package_name }}"]

CMD ["{{ cookiecutter.project_slug }}", "--help"]
