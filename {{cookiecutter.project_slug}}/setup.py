from pathlib import Path
from tempfile import TemporaryDirectory

from setuptools import Extension, setup
from setuptools.command.sdist import sdist

# All C and C++ sources of the package belong to one extension module. Skip hidden files, which editors create. To add
# another module, list the sources of each.
package = Path("src/{{ cookiecutter.package_name }}")
files = sorted(str(path) for path in package.rglob("[!.]*"))
native = Extension(
    "{{ cookiecutter.package_name }}._native",
    sources=[file for file in files if file.endswith((".c", ".cc", ".cpp", ".cxx"))],
    depends=[file for file in files if file.endswith((".h", ".hh", ".hpp", ".hxx"))],
)


class SourceDistribution(sdist):
    """An sdist without tests."""

    def make_release_tree(self, base_dir, files):
        """Leave out the tests, because setuptools adds only some of them, and these need the others."""
        super().make_release_tree(base_dir, [name for name in files if Path(name).parts[0] != "tests"])


# Metadata is in pyproject.toml. Use a fresh build directory, because setuptools would reuse files that an earlier
# build compiled with other flags, such as those of the sanitizers, and modules that no longer exist.
with TemporaryDirectory() as build:
    setup(ext_modules=[native], cmdclass={"sdist": SourceDistribution}, options={"build": {"build_base": build}})
