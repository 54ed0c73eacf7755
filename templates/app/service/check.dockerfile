import {{ cookiecutter.package_name }}.api
import {{ cookiecutter.package_name }}.cli
