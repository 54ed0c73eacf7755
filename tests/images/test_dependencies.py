"""Dependencies that are not on an index: a package of the same repository, and the URL of a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BAKE, STRATEGIES, Bake, Project, copy_project, host_address
from tools.engine import Engine

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
# Steps that docs/building.md quotes.
SOURCE = '[tool.uv.sources]\nname = { url = "https://example.com/name-1.0-py3-none-any.whl" }\n'
URL = "https://example.com/remote-1.0-py3-none-any.whl"
WHERE, IGNORED, COPY, COPY_ABOVE = '"libs/name/src"', "!libs", "COPY libs /src/libs", "COPY src /src/src"


def build_wheel(directory: Path, name: str) -> Path:
    """Create a package that contains only its name, and return the directory with its wheel."""
    directory.mkdir(parents=True)
    (directory / "pyproject.toml").write_text(PACKAGE.format(name=name))
    (directory / f"{name}.py").write_text(f'NAME = "{name}"\n')
    subprocess.run([sys.executable, "-m", "uv", "build", "--quiet", "--wheel", directory], check=True)
    return directory / "dist"


@pytest.fixture
def wheel_url(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a wheel; the address is also reachable from the steps of a build."""
    directory = build_wheel(tmp_path / "remote", "remote")
    host = host_address(engine)
    with ThreadingHTTPServer((host, 0), partial(SimpleHTTPRequestHandler, directory=str(directory))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{host}:{server.server_port}/remote-1.0-py3-none-any.whl"
        server.shutdown()


def add_dependencies(project: Project, wheel_url: str) -> None:
    """Follow docs/building.md for a package of the same repository, and add the URL of a wheel."""
    page = project.read("docs/building.md")
    assert SOURCE in page
    assert all(f"`{step}`" in page for step in (WHERE, IGNORED, COPY, COPY_ABOVE))
    (project.path / "libs/name/src/name").mkdir(parents=True)
    (project.path / "libs/name/src/name/__init__.py").write_text('NAME = "name"\n')
    project.edit("pyproject.toml", 'where = ["src"]', f'where = ["src", {WHERE}]')
    project.edit("pyproject.toml", "dependencies = []", 'dependencies = ["remote"]')
    with (project.path / "pyproject.toml").open("a") as file:
        file.write(SOURCE.replace("name", "remote").replace(URL, wheel_url))
    project.edit(".dockerignore", "!src\n", f"!src\n{IGNORED}\n")
    for strategy in STRATEGIES:
        project.edit(f"strategies/{strategy}/Dockerfile", f"{COPY_ABOVE}\n", f"{COPY_ABOVE}\n{COPY}\n")


@pytest.mark.slow
@pytest.mark.usefixtures("index")
def test_wheels_outside_the_index_are_installed_in_each_strategy(
    bake_once: Bake, engine: Engine, base_image: Any, wheel_url: str, tmp_path: Path
) -> None:
    baked = bake_once(project_slug="acme-sums", strategy="all", app="cli")
    base_image(baked.answers["python_version"])
    project = copy_project(baked, tmp_path / "repository")
    add_dependencies(project, wheel_url)
    locked = project.run("make", "lock")
    assert locked.returncode == 0, locked.stderr
    code = "import name, remote; print(name.NAME, remote.NAME)"
    assert project.run("make", ".venv/installed").returncode == 0
    assert project.run(".venv/bin/python", "-c", code).stdout == "name remote\n"
    image = f"test-{os.getpid()}-dependencies"
    engine.docker(*BAKE, "--load", cwd=project.path, env={**engine.environment, "IMAGE": image, "TAG": ""})
    for strategy in STRATEGIES:
        printed = engine.docker("run", "--rm", f"{image}:{strategy}", "python", "-c", code).stdout
        assert printed == "name remote\n"
    engine.docker("image", "rm", *(f"{image}:{strategy}" for strategy in STRATEGIES))


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
