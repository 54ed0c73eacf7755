"""The lessons can be built without a network, from the base image that `make offline-kit` creates."""

from __future__ import annotations

import socketserver
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import QUESTIONS, Project, host_address
from tests.lessons.test_lessons import commands
from tools.engine import DockerError, Engine, EngineUnavailable, second_engine
from tools.engine.fixtures import skip_or_fail

BASE = f"python:{QUESTIONS['python_version'][0]}-slim"
# Lessons that download different packages.
LESSONS = ["06-pex", "08-caches", "13-uv"]


def cut_network(engine: Engine) -> None:
    """Disconnect all containers and build steps of a private engine from the network."""
    home = Path(engine.environment["DOCKER_HOST"].removeprefix("unix://")).parent
    subprocess.run(["ip", "link", "set", (home / "bridge").read_text().strip(), "down"], check=True)


@pytest.fixture(scope="module")
def offline_engine(engine: Engine, base_image: Callable[[str], str], project: Project) -> Iterator[Engine]:
    """Return an engine without a network, which has loaded the kit as its only image."""
    if not engine.private:
        pytest.skip("only a private engine includes the programs for a second one")
    base_image(QUESTIONS["python_version"][0])
    made = project.run("make", "offline-kit", env={**engine.environment, "PYTHON": sys.executable})
    assert made.returncode == 0, made.stderr
    try:
        with second_engine(engine) as offline:
            offline.docker("load", "--input", str(project.path / "dist/offline-kit.tar"))
            offline.docker("tag", "offline-kit", BASE)
            cut_network(offline)
            yield offline
    except EngineUnavailable as reason:
        skip_or_fail(reason)


def test_no_container_can_connect(offline_engine: Engine) -> None:
    with socketserver.TCPServer((host_address(offline_engine), 0), socketserver.BaseRequestHandler) as server:
        code = f"import socket; socket.create_connection({server.server_address}, 2)"
        result = offline_engine.docker("run", "--rm", BASE, "python", "-c", code, check=False)
    assert result.stderr.splitlines()[-1] == "TimeoutError: timed out"


def test_lessons_build_offline(offline_engine: Engine, project: Project) -> None:
    for lesson in LESSONS:
        dockerfile = f"lessons/{lesson}/Dockerfile"
        offline_engine.docker("build", "--tag", lesson, "--file", dockerfile, "lessons/app", cwd=project.path)
        assert offline_engine.docker("run", "--rm", lesson).stdout == "Hello from C, world\n"


def test_packages_of_other_commands_are_available_offline(offline_engine: Engine, project: Project) -> None:
    dockerfile = "lessons/07-platter/wrong.Dockerfile"
    with pytest.raises(DockerError, match="SyntaxError: leading zeros"):
        offline_engine.docker("build", "--file", dockerfile, "lessons/app", cwd=project.path)
    lines = [each.line for each in commands(project.read("lessons/14-base-images/README.md"))]
    download = next(line for line in lines if "pip download" in line).replace("lesson-14:slim-image", BASE)
    assert project.run("bash", "-c", download, env=offline_engine.environment).returncode == 0
