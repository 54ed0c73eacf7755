from tempfile import TemporaryDirectory

from setuptools import Extension, setup

# Metadata is in pyproject.toml. A fresh build directory, because setuptools would reuse what an earlier build
# compiled with other flags, such as those of the sanitizers, and modules that no longer exist.
with TemporaryDirectory() as build:
    setup(
        ext_modules=[
            Extension(
                "{{ cookiecutter.package_name }}._native",
                sources=["src/{{ cookiecutter.package_name }}/_native.c"],
            ),
        ],
        options={"build": {"build_base": build}},
    )
