from setuptools import Extension, setup

# Metadata is in pyproject.toml; here is only what it cannot say.
setup(
    ext_modules=[
        Extension(
            "{{ cookiecutter.package_name }}._native",
            sources=["src/{{ cookiecutter.package_name }}/_native.c"],
        ),
    ],
)
