"""The Makefile of a generated project: lock files, recompilation, C++, and the development server."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Bake, Project, copy_project
from tools.watch import WatchedService

pytestmark = pytest.mark.usefixtures("index")

NATIVE = "src/acme/_native.c"
# Older versions than those in the lock files.
OLD = {"requirements.txt": "idna==3.10", "requirements/build.txt": "setuptools==80.9.0"}


@pytest.fixture(scope="module")
def installed_project(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with a virtualenv and an editable install."""
    project = copy_project(bake_once(project_slug="acme"), tmp_path_factory.mktemp("make"))
    make(project, ".venv/installed")
    return project


def make(project: Project, *arguments: str, **environment: str) -> str:
    result = project.run("make", *arguments, env={**os.environ, **environment})
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def pins(project: Project, lock: str) -> set[str]:
    return set(re.findall(r"^[\w.-]+==\S+", project.read(lock), re.M))


def test_lock_keeps_versions_and_upgrade_updates_them(installed_project: Project) -> None:
    before = {}
    for lock, old in OLD.items():
        text = re.sub(rf"^{old.partition('==')[0]}==\S+", old, installed_project.read(lock), flags=re.M)
        (installed_project.path / lock).write_text(text, "utf-8")
        before[lock] = pins(installed_project, lock)
        assert old in before[lock]
    installed_project.edit("pyproject.toml", "dependencies = [\n", 'dependencies = [\n  "six",\n')
    # Do not install the locked tools again: the virtualenv contains them, and the old versions have different hashes.
    make(installed_project, "--assume-old=.venv/build", "lock")
    added = pins(installed_project, "requirements.txt") - before["requirements.txt"]
    assert [pin.partition("==")[0] for pin in added] == ["six"]
    assert before["requirements.txt"] < pins(installed_project, "requirements.txt")
    assert pins(installed_project, "requirements/build.txt") == before["requirements/build.txt"]
    make(installed_project, "--assume-old=.venv/build", "upgrade")
    for lock, old in OLD.items():
        assert old not in pins(installed_project, lock)


def is_up_to_date(project: Project) -> bool:
    """Return whether make considers the editable install up to date."""
    return project.run("make", "--question", ".venv/installed", "--assume-old=.venv/ready").returncode == 0


@pytest.fixture
def up_to_date_project(installed_project: Project) -> Project:
    """Return a project whose editable install is newer than every source."""
    os.utime(installed_project.path / ".venv/installed", (2**31, 2**31))
    assert is_up_to_date(installed_project)
    return installed_project


def write_later(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("/* A change. */\n", "utf-8")
    os.utime(path, (2**31 + 1, 2**31 + 1))


@pytest.mark.parametrize("name", ["a.c", "a.h", "deep/er/a.c", "a.cc", "a.cpp", "a.cxx", "a.hh", "deep/a.hpp", "a.hxx"])
@pytest.mark.parametrize("directory", ["src/acme", "include"])
def test_changed_c_or_cpp_file_triggers_recompilation(up_to_date_project: Project, directory: str, name: str) -> None:
    path = up_to_date_project.path / directory / name
    write_later(path)
    changed = not is_up_to_date(up_to_date_project)
    path.unlink()
    assert changed


@pytest.mark.parametrize("name", ["._native.c.swp", "_native.c~", ".#_native.c", "#_native.c#", "4913", ".DS_Store"])
def test_editor_files_do_not_trigger_recompilation(up_to_date_project: Project, name: str) -> None:
    path = up_to_date_project.path / "src/acme" / name
    write_later(path)
    unchanged = is_up_to_date(up_to_date_project)
    path.unlink()
    assert unchanged


def test_serve_restarts_after_python_code_change(installed_project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environment = {**os.environ, "UVICORN_PORT": str(port)}
    command = ["make", "--assume-old=.venv/installed", "serve"]
    server = subprocess.Popen(command, cwd=installed_project.path, env=environment, start_new_session=True)
    service = WatchedService(
        installed_project.path / "src" / installed_project.package, f"http://127.0.0.1:{port}/checksums"
    )
    try:
        service.wait_for("e3069283")
        service.change_python(1)
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(timeout=30)
