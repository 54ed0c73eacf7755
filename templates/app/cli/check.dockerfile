import {{ cookiecutter.package_name }}.cli
