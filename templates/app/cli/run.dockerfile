CMD ["{{ cookiecutter.project_slug }}", "--help"]
