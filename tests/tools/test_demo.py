"""`make demo`: a response from a container, or, without an engine, from a virtualenv."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import TEMPLATE
from tools.engine import Engine

RESPONSE = '{"crc32c":"e3069283","bytes":9}'
# Run the demo as a user who is not root.
WITHOUT_ENGINE = "import os, runpy; os.geteuid = lambda: 65534; runpy.run_module('tools.demo', run_name='__main__')"


def demo(*command: str, environment: dict[str, str]) -> str:
    """Run the demo, and return its output."""
    result = subprocess.run(
        [sys.executable, *command], cwd=TEMPLATE, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.usefixtures("base_image")
def test_demo_prints_response_from_container(engine: Engine) -> None:
    printed = demo("-m", "tools.demo", environment=engine.environment)
    assert RESPONSE in printed
    assert "$ docker build --tag checksum-service ." in printed
    assert "COPY /app/opt /opt" in printed
    assert engine.docker("ps", "--quiet", "--filter", "ancestor=checksum-service").stdout == ""


@pytest.mark.usefixtures("index")
def test_demo_without_engine_prints_response_from_virtualenv() -> None:
    printed = demo("-c", WITHOUT_ENGINE, environment={**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert RESPONSE in printed
    assert "No Docker engine is running" in printed
    assert "$ docker build" not in printed
