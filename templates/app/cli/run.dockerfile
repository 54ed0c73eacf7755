# A compiled module or a requirement that cannot load fails the build, not the first start.
RUN ["python", "-c", "import {{ cookiecutter.package_name }}.cli"]

CMD ["{{ cookiecutter.project_slug }}", "--help"]
