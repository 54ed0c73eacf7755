"""The service's documentation and settings, and its startup with libraries and servers that a project may add."""

from __future__ import annotations

import re

import pytest

from tests.conftest import Bake, Build, Image

# A client and a service in one process: the client sends a message to a WebSocket route of the project.
WEBSOCKET = """
import os, signal, sys, threading, time

from fastapi import APIRouter, WebSocket
from websockets.sync.client import connect

from acme_sums import service

app = service.create_app(service.ServiceSettings, title="Echo", version="1")
router = APIRouter()


@router.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())


app.include_router(router)


def send():
    for _ in range(100):
        try:
            with connect("ws://127.0.0.1:8000/echo") as client:
                client.send("hello")
                print(client.recv())
            break
        except OSError:
            time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)


threading.Thread(target=send).start()
sys.exit(service.run("__main__:app", "echo"))
"""


@pytest.fixture(scope="module")
def extended_image(bake_once: Bake, build: Build) -> Image:
    """Return an image with additional libraries and servers that a project may use."""
    image = build(bake_once(project_slug="acme-sums"))
    tag = f"{image.tag}-extended"
    install = "RUN pip --python /opt/venv/bin/python install gunicorn uvicorn-worker websockets"
    dockerfile = f"FROM {image.tag}\nUSER 0\n{install}\nUSER 10001\n"
    image.engine.docker("build", "--tag", tag, "-", input=dockerfile)
    return Image(image.engine, tag, image.project, image.base)


def test_websocket_route_responds(extended_image: Image) -> None:
    result = extended_image.run("python", "-c", WEBSOCKET)
    assert result.stdout == "hello\n"
    assert "Traceback" not in result.stderr


def test_gunicorn_with_several_workers_is_rejected(extended_image: Image) -> None:
    command = ("gunicorn", "--workers=2", "--worker-class=uvicorn_worker.UvicornWorker", "acme_sums.api:app")
    result = extended_image.run(*command, options=("--tmpfs=/tmp",), check=False)
    assert result.returncode != 0
    assert "ACME_SUMS_METRICS: must be false if there are several processes" in result.stderr


def test_settings_are_read_from_mounted_secrets(bake_once: Bake, build: Build) -> None:
    script = "echo loud >/run/secrets/ACME_SUMS_LOG_LEVEL; exec acme-sums serve"
    image = build(bake_once(project_slug="acme-sums"))
    result = image.run("sh", "-c", script, options=("--tmpfs=/run/secrets:mode=1777",), check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("acme-sums: ACME_SUMS_LOG_LEVEL: Input should be 'debug'")


def test_documentation_lists_the_settings_of_the_help(bake_once: Bake, build: Build) -> None:
    project = bake_once(project_slug="acme-sums")
    printed = build(project).run("acme-sums", "serve", "--help").stdout
    settings = re.findall(r"^  (ACME_SUMS_\w+)\n      (.+) \((?:default: (.+)|optional)\)$", printed, re.MULTILINE)
    table = project.read("docs/operating.md")
    rows = re.findall(r"^\| `(ACME_SUMS_\w+)` \|(?: `(.+)`)? \| (.+) \|$", table, re.MULTILINE)
    assert len(settings) >= 8
    assert [(name, text, default) for name, default, text in rows] == settings
