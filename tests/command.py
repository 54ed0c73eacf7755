"""Run cookiecutter as a user does, in a directory and with a separate home directory, and read the resulting files."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import local_extensions
from tests.conftest import PERSON, TEMPLATE

SLUG = "checksum-service"
COMMAND = (sys.executable, "-m", "cookiecutter")
WITHOUT_QUESTIONS = ("--default-config", "--no-input")


# Prefixes of personal settings for cookiecutter, Python and the language, which must not affect the tests.
PERSONAL = ("COOKIECUTTER", "LANG", "LC_", "PIPX_", "PYTHON", "XDG_")


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment without settings of the current user or of another test."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PERSONAL)}
    return {**inherited, "HOME": str(home), "LC_ALL": "C.UTF-8", **more}


def cookiecutter(
    directory: Path, *arguments: str | Path, command: tuple[str | Path, ...] = COMMAND, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a directory, capturing stdout and stderr together; do not raise if the command fails."""
    options: dict[str, Any] = {"text": True, "encoding": "utf-8", "errors": "backslashreplace"}
    return subprocess.run(
        [*command, *arguments],
        cwd=directory,
        env=clean_environment(directory.parent / "home", **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        check=False,
        **options,
    )


def copy_template(directory: Path) -> Path:
    """Copy the files that cookiecutter reads, so that a test can change them."""
    template = directory / "template"
    for name in ("hooks", "templates", "{{cookiecutter.project_slug}}"):
        shutil.copytree(TEMPLATE / name, template / name)
    for name in ("cookiecutter.json", "local_extensions.py"):
        shutil.copy(TEMPLATE / name, template)
    return template


def git(directory: Path, *arguments: str | Path) -> None:
    """Run git with a fixed identity."""
    subprocess.run(["git", *PERSON, *arguments], cwd=directory, check=True, capture_output=True)


def create_repository(directory: Path) -> Path:
    """Commit and tag the template in a new bare git repository."""
    template, bare = copy_template(directory), directory / "org/sums.git"
    git(directory, "init", "--quiet", "--initial-branch=main", template)
    git(template, "add", ".")
    git(template, "commit", "--quiet", "--message=first")
    git(template, "tag", "v1")
    git(directory, "clone", "--quiet", "--bare", template, bare)
    return bare


def snapshot(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Map every path in a directory to its mode and its content: a file's bytes or a link's target."""

    def content(path: Path) -> bytes:
        if path.is_symlink():
            return bytes(path.readlink())
        return path.read_bytes() if path.is_file() else b""

    paths = sorted(directory.rglob("*"))
    return {
        path.relative_to(directory).as_posix(): (stat.S_IMODE(path.lstat().st_mode), content(path)) for path in paths
    }


def read_files(directory: Path) -> dict[str, bytes]:
    """Map every file in a directory to its content."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def load_hook(name: str) -> ModuleType:
    """Import a hook without rendering it."""
    spec = importlib.util.spec_from_file_location(name, TEMPLATE / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def load_rules() -> dict[str, Any]:
    """Return the rule of each question."""
    found: dict[str, Any] = load_hook("pre_gen_project").rules(
        local_extensions.QUESTIONS, set(local_extensions.reserved_names())
    )
    return found


def problem(question: str, answer: object) -> str | None:
    """Return the error message for an answer, or None if it is valid."""
    found: str | None = load_hook("pre_gen_project").problem(question, answer, load_rules()[question])
    return found
