"""The measured combinations: the command that measures them, and the committed results."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TEMPLATE, Bake
from tests.tools.test_stages import check_layout, final_copies
from tools.combinations import COMBINATIONS, NAMES
from tools.engine import Engine
from tools.pictures import ARTIFACTS, RUNTIME, draw
from tools.site.explorer import METRICS

COMMITTED = json.loads(COMBINATIONS.read_text("utf-8"))
DRAWN = [name for name in NAMES if name.endswith("-slim")]


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m tools.combinations`."""
    command = [sys.executable, "-m", "tools.combinations", *arguments]
    return subprocess.run(command, cwd=TEMPLATE, env=environment, capture_output=True, text=True, check=False)


def test_every_combination_is_committed() -> None:
    assert sorted(COMMITTED["combinations"]) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_committed_stages_match_generated_dockerfile(bake_once: Bake, name: str) -> None:
    strategy, app, runtime = name.split("-")
    dockerfile = bake_once(strategy="all", app=app, runtime=runtime).read(f"strategies/{strategy}/Dockerfile")
    copies = COMMITTED["combinations"][name]["copies"]
    shown = [(each["how"], each["source"], each["to"]) for each in copies if each["to"] in (RUNTIME, ARTIFACTS)]
    expected = final_copies(dockerfile)
    # A command-line tool has no dependencies, so directories for them may be empty.
    assert shown == [copy for copy in expected if app == "service" or copy in shown]
    assert shown[-1] == expected[-1]


@pytest.mark.parametrize("name", DRAWN)
def test_picture_texts_do_not_overlap_or_leave_the_drawing(tmp_path: Path, name: str) -> None:
    draw(tmp_path / name, name, "", COMMITTED["base"], COMMITTED["combinations"][name])
    check_layout(tmp_path / f"{name}-light.svg")


@pytest.mark.weekly
@pytest.mark.serial
def test_combination_is_measured(engine: Engine, base_image: Callable[[str], str], tmp_path: Path) -> None:
    base_image("3.14")
    file = tmp_path / "combinations.json"
    names = ("wheels-cli-minimal", "venv-cli-minimal")
    result = run("--rounds=1", f"--json={file}", *names, environment=engine.environment)
    assert result.returncode == 0, result.stderr
    found = json.loads(file.read_text("utf-8"))["combinations"]
    assert sorted(found) == sorted(names)
    for name, measured in found.items():
        assert all(measured["metrics"][metric]["median"] > 0 for metric in (*METRICS, "memory"))
        assert measured["copies"] == COMMITTED["combinations"][name]["copies"]
        size, committed = (each["metrics"]["size"]["median"] for each in (measured, COMMITTED["combinations"][name]))
        assert size == pytest.approx(committed, rel=0.2)
    assert found["venv-cli-minimal"]["metrics"]["size"]["ratio"] == {"median": 1, "min": 1, "max": 1}


def test_unknown_combination_is_rejected() -> None:
    result = run("venv-service-large")
    assert result.returncode == 2
    assert result.stdout == ""
    message = result.stderr.splitlines()[-1]
    assert message.startswith("combinations: error: 'venv-service-large' is not a combination. The combinations are ")
