"""The repository itself: its own hooks pass, and the lock files that it ships are up to date."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import TEMPLATE, TOOLS, Bake
from tests.locks import GROUPS, compile_group, compile_source, sources


def test_the_pre_commit_hooks_pass() -> None:
    result = subprocess.run(
        [TOOLS / "pre-commit", "run", "--all-files", "--show-diff-on-failure", "--color=never"],
        cwd=TEMPLATE,
        env={**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.relative_to(TEMPLATE).as_posix())
def test_a_lock_file_is_what_its_source_compiles_to(source: Path, tmp_path: Path) -> None:
    for path in (source, source.with_suffix(".txt")):
        shutil.copy(path, tmp_path)
    compile_source(tmp_path / source.name)
    lock = source.with_suffix(".txt")
    assert pins(tmp_path / lock.name) == pins(lock)


@pytest.mark.parametrize("group", GROUPS)
def test_the_lock_file_of_a_group_is_what_it_compiles_to(bake: Bake, group: str, tmp_path: Path) -> None:
    project = bake()
    shutil.copy(project.path / f"requirements-{group}.txt", tmp_path)
    compile_group(project.path, group)
    assert pins(project.path / f"requirements-{group}.txt") == pins(tmp_path / f"requirements-{group}.txt")


def pins(lock: Path) -> list[str]:
    """Return the lines of a lock file but its hashes: an index may gain a wheel of a version at any time."""
    lines = lock.read_text("utf-8").splitlines()
    return [line.rstrip(" \\") for line in lines if "--hash=" not in line]


def test_every_path_can_be_checked_out_on_windows() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TEMPLATE, check=True, capture_output=True, text=True)
    for name in listed.stdout.rstrip("\0").split("\0"):
        assert not re.search(r'[<>:"|?*\\]|[. ]($|/)', name), name
        assert not re.search(r"(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.|/|$)", name, re.IGNORECASE), name
