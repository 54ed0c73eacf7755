"""`make load`: a short real run. The tests check that every metric is reported, not its value."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import TEMPLATE
from tools.engine import Engine
from tools.load import PORTS, WRK, LoadError, LoadSetup, running_setup

pytestmark = [pytest.mark.weekly, pytest.mark.serial]

ROWS = [
    *(
        f"{body}: {metric}"
        for body in ("1 kB", "1 MB")
        for metric in ("requests/s", "requests/CPU s", "p50 ms", "p99 ms")
    ),
    *(f"health during 1 MB: {metric}" for metric in ("p50 ms", "p99 ms")),
]
REQUEST = """
import sys, urllib.request
for port in sys.argv[1:]:
    print(urllib.request.urlopen(f"http://127.0.0.1:{port}/crc32c", data=b"123456789").read().decode())
"""


@pytest.fixture(scope="module")
def load_run(
    engine: Engine, base_image: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run the script; return the finished process and the report."""
    base_image("3.14")
    report = tmp_path_factory.mktemp("load") / "load.json"
    command = [sys.executable, "-m", "tools.load", "--rounds=1", "--seconds=1", f"--json={report}"]
    result = subprocess.run(command, cwd=TEMPLATE, env=engine.environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result, json.loads(report.read_text("utf-8"))


@pytest.fixture(scope="module")
def load_setup(engine: Engine, load_run: Any) -> Iterator[LoadSetup]:  # noqa: ARG001
    """Start both apps again, from the script's images."""
    with running_setup(engine) as setup:
        yield setup


def test_table_contains_every_metric_of_both_apps(load_run: Any) -> None:
    result, report = load_run
    assert list(report["rows"]) == ROWS
    for name, row in report["rows"].items():
        assert list(row) == ["service/bare", *PORTS]
        assert all(metric > 0 for column in row.values() for metric in column.values())
        assert f"\n{name}  " in result.stdout


def test_report_contains_machine_and_versions(load_run: Any) -> None:
    _, report = load_run
    assert report["machine"]["cpus"] > 0
    assert report["date"]
    assert {"python", "fastapi", "starlette", "uvicorn", "wrk"} <= report["versions"].keys()


def test_containers_are_stopped(engine: Engine, load_run: Any) -> None:  # noqa: ARG001
    for image in ("load-service", "load-wrk"):
        assert engine.docker("ps", "--quiet", "--filter", f"ancestor={image}").stdout == ""


def test_both_apps_return_the_same_response(load_setup: LoadSetup) -> None:
    command = ("exec", load_setup.loader, "python", "-c", REQUEST, *map(str, PORTS.values()))
    service, bare = load_setup.engine.docker(*command).stdout.splitlines()
    assert service == bare == '{"crc32c":"e3069283","bytes":9}'


def test_failed_request_invalidates_results(load_setup: LoadSetup) -> None:
    with pytest.raises(LoadError, match="requests failed"):
        load_setup.wrk(f"{WRK} -c1 -d1s http://127.0.0.1:8000/nowhere -- 0 10")
