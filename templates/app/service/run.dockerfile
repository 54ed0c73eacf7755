EXPOSE 8000
HEALTHCHECK --start-period=10s CMD ["python", "-m", "{{ cookiecutter.package_name }}.healthcheck"]
CMD ["{{ cookiecutter.project_slug }}", "serve"]
