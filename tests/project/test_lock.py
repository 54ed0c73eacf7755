"""`make lock` rejects dependencies that have no hash."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Bake, copy_project
from tools.locks import uv

PACKAGE = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "{name}"
version = "1.0"
[tool.setuptools]
py-modules = ["{name}"]
"""


def build_wheel(directory: Path, name: str) -> Path:
    """Create a package that contains only its name, and return its wheel."""
    directory.mkdir(parents=True)
    (directory / "pyproject.toml").write_text(PACKAGE.format(name=name))
    (directory / f"{name}.py").write_text(f'NAME = "{name}"\n')
    uv("build", "--quiet", "--wheel", directory)
    (wheel,) = (directory / "dist").glob("*.whl")
    return wheel


@pytest.mark.usefixtures("index")
def test_dependency_without_hash_is_not_locked(bake_once: Bake, tmp_path: Path) -> None:
    project = copy_project(bake_once(project_slug="acme-sums", app="cli"), tmp_path / "repository")
    build_wheel(tmp_path / "local", "local")
    dependency = f'"local @ {(tmp_path / "local").as_uri()}"'
    project.edit("pyproject.toml", "dependencies = []", f"dependencies = [{dependency}]")
    result = project.run("make", "lock")
    assert result.returncode == 2
    assert "requirements.txt:local @ file:" in result.stdout
    assert "error: These dependencies have no hash." in result.stderr
    # The dependency can be removed, although requirements.txt cannot be installed.
    project.edit("pyproject.toml", dependency, "")
    assert project.run("make", "lock").returncode == 0
