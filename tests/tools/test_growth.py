"""The growth of build costs: the projects that it builds, and the consistency of the committed results."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.compare import DOCS
from tools.engine import Engine
from tools.growth import GROUPS, METRICS, PACKAGES, create_project, generated_section, measure, render


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


@pytest.mark.weekly
@pytest.mark.serial
def test_growth_measures_all_metrics_of_all_projects(
    engine: Engine, base_image: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base_image("3.14")
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    report = measure(1, {"C files": (1, 2)})
    summaries = report["groups"]["C files"]
    assert [*summaries] == ["1", "2"]
    for summary in summaries.values():
        assert all(summary[name]["median"] > 0 and summary[name]["ratio"]["median"] > 0 for name in METRICS)
    assert generated_section(report).count("C files, ") == 2


def test_committed_tables_and_charts_match_committed_growth(tmp_path: Path) -> None:
    document = tmp_path / "comparison.md"
    shutil.copy(DOCS / "comparison.md", document)
    render(json.loads((DOCS / "growth.json").read_text("utf-8")), document, tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_text("utf-8") == (DOCS / path.name).read_text("utf-8")
        assert path == document or f'"{path.name}"' in document.read_text("utf-8")
