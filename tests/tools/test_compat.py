"""`make compat`: the committed table, and how it is updated. tests/images/test_system_libraries.py builds images."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import STRATEGIES
from tools.compat import (
    BEGIN,
    COLUMNS,
    DOCUMENT,
    PROJECTS,
    cases_of,
    expected_errors,
    last_line,
    main,
    render,
    rows_of,
    strategies_with_errors,
)
from tools.engine import DockerError

FAILED_BUILD = """status 1: docker buildx bake
#30 0.431 starting
#30 1.204 /app/_x.so needs libx.so.1.
#30 ERROR: process "/bin/sh -c python" did not complete successfully: exit code: 1
------
 > [image-venv compile-image 4/4] RUN python:
0.431 starting
1.204 /app/_x.so needs libx.so.1.
------
Dockerfile:85
ERROR: failed to build: exit code: 1"""
FAILED_CHECK = """status 1: docker run image python -c print
Traceback (most recent call last):
ImportError: no x"""


def test_committed_table_shows_results_of_every_case() -> None:
    rows = rows_of(DOCUMENT.read_text("utf-8").partition(BEGIN)[2].splitlines())
    cases = {case: project for project, details in PROJECTS.items() for case in cases_of(details)}
    assert [*rows] == ["case", "---", *cases]
    for case in cases:
        cells = rows[case].strip("| ").split(" | ")
        assert len(cells) == len(COLUMNS)
        assert cells[:2] == [case, cases[case]]
        results = dict(zip(STRATEGIES, cells[3:-1], strict=True))
        errors = strategies_with_errors(rows[case])
        assert errors == expected_errors(rows[case])
        assert len({results[strategy] for strategy in STRATEGIES if strategy not in errors}) == 1, "the images differ"
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", cells[-1])


def test_render_replaces_only_the_given_rows(tmp_path: Path) -> None:
    document = tmp_path / "table.md"
    document.write_text(f"| before |\n\n{BEGIN}\n\n| lz4 | 1 |\n| regex | 1 |\n| removed | 1 |\n", "utf-8")
    render(document, ["| regex | 2 |", "| ujson | 2 |"])
    text = document.read_text("utf-8")
    assert text.startswith(f"| before |\n\n{BEGIN}\n")
    assert re.findall(r"^\| .* \d \|$", text, re.M) == ["| regex | 2 |", "| lz4 | 1 |", "| ujson | 2 |"]


@pytest.mark.parametrize(
    ("output", "line"), [(FAILED_BUILD, "/app/_x.so needs libx.so.1."), (FAILED_CHECK, "ImportError: no x")]
)
def test_last_line_belongs_to_failed_command(output: str, line: str) -> None:
    assert last_line(DockerError(output)) == line


def test_unknown_project_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["unknown"])
    assert "tools/compat.toml contains no project 'unknown'" in capsys.readouterr().err
