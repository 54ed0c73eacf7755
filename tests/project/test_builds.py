"""A wheel depends only on its own source and flags, not on earlier builds in the same checkout."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.conftest import Bake, Project, copy_project

pytestmark = pytest.mark.usefixtures("index")

BUILDERS = {
    "uv": (".venv/bin/uv", "build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", "dist", "."),
    "pip": (".venv/bin/pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."),
}
INSTRUMENTATION = (b"__asan_", b"__ubsan_", b"__gcov_", b".gcda")


@pytest.fixture(scope="module")
def project(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with its development tools installed."""
    project = copy_project(bake_once(app="cli"), tmp_path_factory.mktemp("builds"))
    succeed(project.run("make", "dev"))
    return project


def succeed(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 0, result.stdout + result.stderr


def wheel(project: Project, builder: str, **environment: str) -> dict[str, bytes]:
    """Build a wheel, and return its files by name."""
    for old in (project.path / "dist").glob("*.whl"):
        old.unlink()
    succeed(project.run(*BUILDERS[builder], env={**os.environ, **environment}))
    (path,) = (project.path / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def extension_module(files: dict[str, bytes]) -> bytes:
    (name,) = (name for name in files if name.endswith(".so"))
    return files[name]


@pytest.mark.parametrize("target", ["asan", "coverage"])
def test_wheel_after_an_instrumented_build_is_not_instrumented(project: Project, target: str) -> None:
    # A single test is enough; `make coverage` then reports that too few lines are covered.
    project.run("make", target, env={**os.environ, "PYTEST_ADDOPTS": "-k known_values"})
    (built,) = (project.path / "build" / target / project.package).glob("*.so")
    assert any(name in built.read_bytes() for name in INSTRUMENTATION)
    for builder in BUILDERS:
        module = extension_module(wheel(project, builder))
        assert [name for name in INSTRUMENTATION if name in module] == [], builder


@pytest.mark.parametrize("builder", BUILDERS)
def test_wheel_uses_only_its_own_build_flags(project: Project, builder: str) -> None:
    flags = {"CFLAGS": "-fsanitize=undefined", "LDFLAGS": "-fsanitize=undefined"}
    assert b"__ubsan_" in extension_module(wheel(project, builder, **flags))
    assert b"__ubsan_" not in extension_module(wheel(project, builder))


@pytest.mark.parametrize("builder", BUILDERS)
def test_wheel_does_not_contain_a_deleted_module(project: Project, builder: str) -> None:
    module = Path("src", project.package, "deleted.py")
    (project.path / module).write_text('"""A module of another branch."""\n', "utf-8")
    assert f"{project.package}/deleted.py" in wheel(project, builder)
    (project.path / module).unlink()
    assert f"{project.package}/deleted.py" not in wheel(project, builder)
