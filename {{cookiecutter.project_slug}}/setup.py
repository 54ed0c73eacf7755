from pathlib import Path
from tempfile import TemporaryDirectory

from setuptools import Extension, setup

# All C and C++ sources of the package, without hidden files, which editors create, belong to one extension module. To
# add another module, list the sources of each.
files = sorted(str(path) for path in Path("src/{{ cookiecutter.package_name }}").rglob("[!.]*"))

# Metadata is in pyproject.toml. A fresh build directory, because setuptools would reuse what an earlier build
# compiled with other flags, such as those of the sanitizers, and modules that no longer exist.
with TemporaryDirectory() as build:
    setup(
        ext_modules=[
            Extension(
                "{{ cookiecutter.package_name }}._native",
                sources=[file for file in files if file.endswith((".c", ".cpp"))],
                depends=[file for file in files if file.endswith((".h", ".hpp"))],
            ),
        ],
        options={"build": {"build_base": build}},
    )
