"""System libraries: name a -dev package in the build stage, and runtime-image contains the library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import BAKE, COMMIT_TIME, STRATEGIES, Bake, Project, copy_project, weekly_after
from tests.images.test_reproducible import inspect
from tools.engine import DockerError, Engine
from tools.locks import compile_runtime

# An extension module that is linked with libyaml, and that the program does not import when it starts.
YAML = """
#include <Python.h>
#include <yaml.h>
static PyObject *version(PyObject *module, PyObject *unused) {
    return PyUnicode_FromString(yaml_get_version_string());
}
static PyMethodDef methods[] = {{"version", version, METH_NOARGS, NULL}, {NULL}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_yaml", .m_methods = methods};
PyMODINIT_FUNC PyInit__yaml(void) { return PyModule_Create(&definition); }
"""
EXTENSION = 'Extension("acme_sums._yaml", ["src/yaml.c"], libraries=["yaml"])'
LIBRARY = "libyaml-0.so.2"
CPP = """
#include <Python.h>
#include <string>
static PyObject *language(PyObject *, PyObject *) { return PyUnicode_FromString(std::string("C++").c_str()); }
static PyMethodDef methods[] = {{"language", language, METH_NOARGS, nullptr}, {}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_cpp", nullptr, 0, methods};
PyMODINIT_FUNC PyInit__cpp() { return PyModule_Create(&definition); }
"""
CPP_EXTENSION = 'Extension("acme_sums._cpp", ["src/cpp.cpp"])'
# A dependency that is compiled although there is a wheel.
COMPILED = '\n[tool.uv.pip]\nno-binary = ["markupsafe"]\nemit-build-options = true\n'
CHECK = """
from importlib.metadata import distribution
import markupsafe._speedups, acme_sums._cpp, acme_sums._yaml
assert "manylinux" not in distribution("markupsafe").read_text("WHEEL")
print(acme_sums._cpp.language(), acme_sums._yaml.version())
"""


@pytest.fixture(scope="module")
def project(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project that needs a C++ compiler and a system library."""
    baked = bake_once(project_slug="acme-sums", strategy="all", app="cli")
    project = copy_project(baked, tmp_path_factory.mktemp("libraries"))
    project.edit("pyproject.toml", "dependencies = []", 'dependencies = ["markupsafe"]')
    project.edit("pyproject.toml", "\n[tool.setuptools]\n", f"{COMPILED}\n[tool.setuptools]\n")
    project.edit("setup.py", "ext_modules=[native]", f"ext_modules=[native, {CPP_EXTENSION}, {EXTENSION}]")
    (project.path / "src/cpp.cpp").write_text(CPP, "utf-8")
    (project.path / "src/yaml.c").write_text(YAML, "utf-8")
    compile_runtime(project.path)
    for strategy in STRATEGIES:
        project.edit(f"strategies/{strategy}/Dockerfile", "gcc libc6-dev", "g++ gcc libc6-dev libyaml-dev")
    return project


@pytest.fixture(scope="module")
def build(engine: Engine, base_image: Any) -> Iterator[Any]:
    """Return a function that builds the images of all strategies, and returns their repository."""
    repositories = []

    def build_all(project: Project, name: str) -> str:
        base_image(project.answers["python_version"])
        repositories.append(f"test-{os.getpid()}-{name}")
        environment = {**engine.environment, "IMAGE": repositories[-1], "SOURCE_DATE_EPOCH": str(COMMIT_TIME)}
        engine.docker(*BAKE, "--load", cwd=project.path, env=environment)
        return repositories[-1]

    yield build_all
    tags = [f"{repository}:{strategy}" for repository in repositories for strategy in STRATEGIES]
    engine.docker("image", "rm", *tags, check=False)


@pytest.fixture(scope="module")
def libraries(build: Any, project: Project) -> str:
    """Return the repository of the images with a library."""
    return str(build(project, "libraries"))


@pytest.fixture(scope="module")
def plain(build: Any, bake_once: Bake) -> str:
    """Return the repository of images that need no library."""
    return str(build(bake_once(project_slug="acme-sums", strategy="all", app="cli"), "plain"))


def packages_of(engine: Engine, image: str) -> set[str]:
    """Return the names of the Debian packages in an image."""
    query = ("dpkg-query", "--show", "--showformat=${Package}\n")
    return set(engine.docker("run", "--rm", "--network=none", image, *query).stdout.split())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_library_and_compiled_dependency_work(engine: Engine, libraries: str, strategy: str) -> None:
    run = ("run", "--rm", "--network=none", f"{libraries}:{strategy}", "python", "-c", CHECK)
    assert engine.docker(*run).stdout.startswith("C++ 0.2.")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_image_adds_only_the_library_package(
    engine: Engine, base_image: Any, project: Project, libraries: str, strategy: str
) -> None:
    base = packages_of(engine, base_image(project.answers["python_version"]))
    assert packages_of(engine, f"{libraries}:{strategy}") - base == {"libyaml-0-2"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_image_without_library_adds_no_package(
    engine: Engine, base_image: Any, project: Project, plain: str, strategy: str
) -> None:
    base = packages_of(engine, base_image(project.answers["python_version"]))
    assert packages_of(engine, f"{plain}:{strategy}") == base


@pytest.mark.parametrize("strategy", weekly_after(2, STRATEGIES))
def test_rebuilt_image_with_library_has_the_same_digest(
    engine: Engine, project: Project, libraries: str, strategy: str
) -> None:
    first, second = f"{libraries}:{strategy}", f"{libraries}-rebuilt:{strategy}"
    # The compiler is not installed again, because a mirror may be updated at any time.
    options = ("--no-cache-filter=runtime-image", "--provenance=false", f"--file=strategies/{strategy}/Dockerfile")
    environment = {**engine.environment, "SOURCE_DATE_EPOCH": str(COMMIT_TIME)}
    log = engine.docker(
        "build", "--progress=plain", *options, f"--tag={second}", ".", cwd=project.path, env=environment
    )
    assert "Setting up libyaml-0-2" in log.stderr
    ids = [inspect(engine, image, "{{.Id}}") for image in (first, second)]
    engine.docker("image", "rm", second, check=False)
    assert ids[0] == ids[1]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_missing_library_fails_the_build_unless_optional(
    engine: Engine, base_image: Any, project: Project, tmp_path: Any, strategy: str
) -> None:
    base_image(project.answers["python_version"])
    copy, dockerfile = copy_project(project, tmp_path), f"strategies/{strategy}/Dockerfile"
    remove = "RUN dpkg --purge --force-depends libyaml-0-2\n"
    copy.edit(dockerfile, "# List the Debian packages", f"{remove}\n# List the Debian packages")
    build = ("build", "--file", dockerfile, ".")
    with pytest.raises(DockerError, match=rf"/_yaml\.\S+\.so needs {LIBRARY}, which is not installed\."):
        engine.docker(*build, cwd=copy.path)
    engine.docker(*build, f"--build-arg=OPTIONAL_LIBRARIES={LIBRARY}", cwd=copy.path)
