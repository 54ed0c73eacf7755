"""The growth of build costs: the projects that it builds, and the consistency of the committed results."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tools.compare import DOCS
from tools.growth import GROUPS, PACKAGES, create_project, render


def test_enough_packages_are_listed_once() -> None:
    names = {package.partition("==")[0] for package in PACKAGES}
    assert len(names) == len(PACKAGES) == GROUPS["dependencies"][-1]


def test_project_has_number_of_c_files(tmp_path: Path) -> None:
    project = create_project(tmp_path / "project", "C files", 10)
    assert len([*(project.path / "src" / project.package).glob("*.c")]) == 10


@pytest.mark.usefixtures("index")
def test_project_locks_number_of_dependencies(tmp_path: Path) -> None:
    project = create_project(tmp_path / "project", "dependencies", 30)
    locked = re.findall(r"^\S+==\S+", (project.path / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert locked == sorted(PACKAGES[:30])


def test_committed_tables_and_charts_match_committed_growth(tmp_path: Path) -> None:
    document = tmp_path / "comparison.md"
    shutil.copy(DOCS / "comparison.md", document)
    render(json.loads((DOCS / "growth.json").read_text("utf-8")), document, tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_text("utf-8") == (DOCS / path.name).read_text("utf-8")
        assert path == document or f'"{path.name}"' in document.read_text("utf-8")
