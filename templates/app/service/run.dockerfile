EXPOSE 8000
HEALTHCHECK --start-period=10s CMD ["python", "-P", "-m", "{{ cookiecutter.package_name }}.service.healthcheck"]
CMD ["{{ cookiecutter.project_slug }}", "serve"]
