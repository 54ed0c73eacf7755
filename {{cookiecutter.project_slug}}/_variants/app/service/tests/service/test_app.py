"""The app's additions to FastAPI, and its startup."""

import re
import subprocess
import sys

import pytest

from {{ cookiecutter.package_name }}.service import PREFIX

from .conftest import SMALL_APP, extended_command
from .process import environment, free_port, run_service

LIFESPAN = """
import gc
from contextlib import asynccontextmanager
class Settings(service.ServiceSettings):
    greeting: str = "hello"
@asynccontextmanager
async def lifespan(app, settings):
    app.state.greeting = settings.greeting
    assert gc.isenabled()
    assert settings.greeting != "fail at start"
    yield
    assert settings.greeting != "fail at end"
app = service.create_app(Settings, lifespan=lifespan)
@app.get("/greeting")
async def get_greeting() -> str:
    return app.state.greeting
"""
WEBSOCKET = """
import sys
sys.modules["websockets"] = sys.modules["wsproto"] = None  # an import fails
from fastapi import APIRouter
router = APIRouter()
@router.websocket("/socket")
async def open_socket(websocket):
    pass
app.include_router(router)
"""


def run(*command, **settings):
    variables = environment(**{"host": "127.0.0.1", "port": free_port(), **settings})
    pipes = {"capture_output": True, "text": True}
    return subprocess.run(command, env=variables, cwd=SMALL_APP.parent, timeout=60, check=False, **pipes)


def test_lifespan_receives_the_settings(start_service):
    assert start_service(*extended_command(LIFESPAN), greeting="hi").request("GET", "/greeting").json() == "hi"


def test_failing_startup_exits_with_status_3():
    result = run(*extended_command(LIFESPAN), greeting="fail at start")
    assert (result.returncode, result.stdout) == (3, "")
    assert "AssertionError" in result.stderr


def test_failing_shutdown_exits_with_status_3(start_service):
    service = start_service(*extended_command(LIFESPAN), greeting="fail at end")
    service.process.terminate()
    assert service.process.wait(timeout=10) == 3


def test_websocket_needs_a_library():
    result = run(*extended_command(WEBSOCKET))
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch("small-app: .* websockets.*\n", result.stderr)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_respond_without_a_body(service, path):
    response = service.request("HEAD", path)
    assert (response.status, response.body) == (200, b"")


def test_trailing_slash_is_not_redirected(service):
    response = service.request("POST", "/json/", headers={"host": "elsewhere.example"})
    assert (response.status, response.headers["location"]) == (404, None)


DOCS = ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"]


def test_docs_can_be_switched_on(documented_service, service):
    for path in DOCS:
        assert service.request("GET", path).status == 404
        assert documented_service.request("GET", path).status == 200


def test_metrics_can_be_switched_off(start_service):
    assert start_service(metrics=False).request("GET", "/metrics").status == 404


def test_docs_respect_root_path(start_service):
    service = start_service(docs=True, root_path="/api")
    assert b"'/api/openapi.json'" in service.request("GET", "/docs").body
    assert service.request("GET", "/openapi.json").json()["servers"] == [{"url": "/api"}]
    assert service.post_json("/json", {"number": 1}).json() == {"number": 2}


def test_openapi_document_has_operation_ids_and_request_id(documented_service):
    paths = documented_service.request("GET", "/openapi.json").json()["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert {operation["operationId"] for operation in operations} >= {"post_json", "post_stream"}
    for operation in operations:
        for response in operation["responses"].values():
            assert response["headers"]["x-request-id"]["required"]


def test_invalid_settings_are_reported_under_another_server():
    result = run(sys.executable, "-m", "uvicorn", "small_app:app", max_body_bytes="much")
    assert result.returncode == 3
    assert f"{PREFIX}MAX_BODY_BYTES: is invalid" in result.stderr
    assert "Traceback" not in result.stderr


def test_several_processes_are_rejected():
    """Uvicorn stops with status 0 when its workers fail to start."""
    result = run(sys.executable, "-m", "uvicorn", "small_app:app", "--workers=2", f"--port={free_port()}")
    assert f"{PREFIX}METRICS: must be false if there are several processes" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("option", "settings"), [("--workers=2", {"metrics": False}), ("--reload", {})])
def test_workers_without_metrics_and_reloader_start(tmp_path, option, settings):
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "small_app:app", option, f"--port={port}"]
    with run_service(tmp_path, *command, port=port, cwd=SMALL_APP.parent, **settings) as service:
        assert service.request("GET", "/healthz").status == 200
