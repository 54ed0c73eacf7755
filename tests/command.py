"""Cookiecutter as a user runs it: a command in a folder, with a home of its own; and what it leaves on the disk."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import PERSON, TEMPLATE

SLUG = "checksum-service"
COMMAND = (sys.executable, "-m", "cookiecutter")
WITHOUT_QUESTIONS = ("--default-config", "--no-input")


# What a person has set for cookiecutter, Python or the language does not reach the tests.
PERSONAL = ("COOKIECUTTER", "LANG", "LC_", "PIPX_", "PYTHON", "XDG_")


def surroundings(home: Path, **more: str) -> dict[str, str]:
    """Return an environment without anything of the machine's user, or of another test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PERSONAL)}
    return {**kept, "HOME": str(home), "LC_ALL": "C.UTF-8", **more}


def cookiecutter(
    folder: Path, *arguments: str | Path, command: tuple[str | Path, ...] = COMMAND, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder; its output is captured in one stream, its failure is the caller's to judge."""
    options: dict[str, Any] = {"text": True, "encoding": "utf-8", "errors": "backslashreplace"}
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=surroundings(folder.parent / "home", **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        check=False,
        **options,
    )


def copied_template(folder: Path) -> Path:
    """Copy what cookiecutter reads, to change it."""
    template = folder / "template"
    for name in ("hooks", "templates", "{{cookiecutter.project_slug}}"):
        shutil.copytree(TEMPLATE / name, template / name)
    for name in ("cookiecutter.json", "local_extensions.py"):
        shutil.copy(TEMPLATE / name, template)
    return template


def git(folder: Path, *arguments: str | Path) -> None:
    """Run git as somebody."""
    subprocess.run(["git", *PERSON, *arguments], cwd=folder, check=True, capture_output=True)


def repository(folder: Path) -> Path:
    """Put the template into a bare git repository, and tag it."""
    template, bare = copied_template(folder), folder / "org/sums.git"
    git(folder, "init", "--quiet", "--initial-branch=main", template)
    git(template, "add", ".")
    git(template, "commit", "--quiet", "--message=first")
    git(template, "tag", "v1")
    git(folder, "clone", "--quiet", "--bare", template, bare)
    return bare


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of everything below a folder: the bytes of a file, the target of a link."""

    def content(path: Path) -> bytes:
        if path.is_symlink():
            return bytes(path.readlink())
        return path.read_bytes() if path.is_file() else b""

    paths = sorted(folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): (stat.S_IMODE(path.lstat().st_mode), content(path)) for path in paths}


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
