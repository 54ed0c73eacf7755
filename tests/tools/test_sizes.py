"""`make sizes`: the listed sizes add up to the difference between the two images."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import TEMPLATE
from tools.engine import Engine
from tools.locks import GENERATED
from tools.sizes import required_by

LOCK = (GENERATED / "_variants/app/service/requirements.txt").read_text("utf-8")


@pytest.fixture(scope="module")
def lines(engine: Engine, base_image: Any) -> dict[str, tuple[float, str]]:
    """Run the script; map each name to its megabytes and the dependencies that require it."""
    base_image("3.14")
    command = [sys.executable, "-m", "tools.sizes"]
    result = subprocess.run(command, cwd=TEMPLATE, env=engine.environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    rows = re.findall(r"^ *(-?\d+\.\d\d) +(?:-?[\d.]+% +)?(\S.*?)(?:  +(.*))?$", result.stdout, re.MULTILINE)
    return {name: (float(size), required_by) for size, name, required_by in rows}


def test_rows_add_up_to_image_difference(lines: dict[str, tuple[float, str]]) -> None:
    total, difference = (lines.pop(name)[0] for name in ("sum", "difference of the two images"))
    assert sum(size for size, _ in lines.values()) == pytest.approx(total, abs=0.01 * len(lines))
    assert total == pytest.approx(difference, rel=0.03)


def test_every_locked_distribution_has_a_row(lines: dict[str, tuple[float, str]]) -> None:
    locked = re.findall(r"^([a-z0-9-]+)==", LOCK, re.MULTILINE)
    assert {*locked, "checksum-service"} <= lines.keys()
    assert lines["pydantic-core"][1] == "fastapi, pydantic, pydantic-settings"


def test_distribution_lists_all_direct_dependencies_requiring_it() -> None:
    of_a = "a==1 \\\n    --hash=x\n    # via acme (pyproject.toml)\n"
    lock = f"{of_a}b==1\n    # via\n    #   acme (pyproject.toml)\n    #   c\nc==1\n    # via a\n"
    assert required_by(lock) == {"a": {"a"}, "b": {"a", "b"}, "c": {"a"}}
