"""Contract tests: the running service conforms to its OpenAPI description (schemathesis)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.conftest import HARDENED, TEMPLATE, TOOLS, Bake, Build, container, npm_install
from tests.images.test_service_images import fetch_json

# For each schemathesis check: the title of its failure, and the endpoint with the injected fault.
FINDINGS = {
    "Server error": "/server-error",
    "Undocumented status code": "/undocumented-status",
    "Undocumented Content-Type": "/other-type",
    "Response violates schema": "/other-schema",
    "Missing required response headers": "/missing-header",
    "Schema-violating request accepted": "/accepts-anything",
    "Schema-valid request rejected": "/accepts-nothing",
    "Missing required header accepted": "/needs-no-header",
    "API accepts requests without authentication": "/needs-no-password",
    "Wrong response to undeclared method": "/other-methods",
    "Allow header mismatch": "/other-methods",
    "Created resource not found": "Stateful tests",
    "Deleted resource still available": "Stateful tests",
}
# Runs in the container before the service starts, and injects a fault for each check.
FAULTS = """
from typing import Annotated

import sys

from acme_sums import service
from acme_sums.service.problems import Problem
from fastapi import HTTPException, Response, Security
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel

app = service.create_app(service.ServiceSettings, title="Faults", version="1", responses={})


def error_responses(status):
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {status: {"description": "An error", "content": content}}


class Text(BaseModel):
    word: str


class Item(BaseModel):
    id: int


def parameter(name, where, **schema):
    return {"parameters": [{"name": name, "in": where, "required": True, "schema": {"type": "string", **schema}}]}


@app.get("/server-error", responses=error_responses(500))
def server_error() -> Text:
    raise ValueError


@app.get("/undocumented-status")
def undocumented_status() -> Text:
    return Response(status_code=418)


@app.get("/other-type")
def other_type() -> Text:
    return PlainTextResponse("a")


@app.get("/other-schema")
def other_schema() -> Text:
    return JSONResponse({"word": 1})


@app.get("/missing-header", responses={200: {"headers": {"x-count": {"required": True, "schema": {"type": "string"}}}}})
def missing_header() -> Text:
    return Text(word="a")


@app.get("/accepts-anything", openapi_extra=parameter("word", "query", pattern="^[a-z]{3}$"))
def accepts_anything() -> Text:
    return Text(word="a")


@app.get("/accepts-nothing", responses=error_responses(400), openapi_extra=parameter("word", "query"))
def accepts_nothing() -> Text:
    return JSONResponse({"title": "no", "status": 400, "detail": "no"}, 400, None, "application/problem+json")


@app.get("/needs-no-header", openapi_extra=parameter("x-needed", "header"))
def needs_no_header() -> Text:
    return Text(word="a")


@app.get("/needs-no-password")
def needs_no_password(_: Annotated[object, Security(HTTPBearer(auto_error=False))]) -> Text:
    return Text(word="a")


@app.get("/other-methods")
def other_methods() -> Text:
    return Text(word="a")


@app.api_route("/other-methods", methods=["DELETE", "OPTIONS"], include_in_schema=False)
def other_method() -> Response:
    return Response(headers={"allow": "PUT"})


@app.post("/ghosts", status_code=201)
def post_ghost() -> Item:
    return Item(id=1)


@app.get("/ghosts/{ghost_id}", responses=error_responses(404))
def get_ghost(ghost_id: int) -> Item:
    raise HTTPException(404, "nothing")


@app.post("/items", status_code=201)
def post_item() -> Item:
    return Item(id=1)


@app.delete("/items/{item_id}", status_code=204)
def delete_item(item_id: int) -> None:
    pass


@app.get("/items/{item_id}")
def get_item(item_id: int) -> Item:
    return Item(id=1)
"""
SERVE = "\nsys.exit(service.run('__main__:app', 'faults'))\n"


StartService = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="module")
def start_service(bake_once: Bake, build: Build) -> StartService:
    """Return a function that starts the service, optionally with another command, and yields its address."""
    image = build(bake_once(project_slug="acme-sums", strategy="venv", app="service"))

    @contextmanager
    def start(*command: str) -> Iterator[str]:
        options = (*HARDENED, "--publish=127.0.0.1::8000", "--env=ACME_SUMS_DOCS=true")
        with container(image.engine, image.tag, *options, command=command) as name:
            address = image.engine.docker("port", name, "8000/tcp").stdout.splitlines()[0]
            fetch_json(f"http://{address}/healthz")
            yield f"http://{address}"

    return start


def findings(url: str, directory: Path, *options: str) -> dict[str, Any]:
    """Test a service with requests that its API description allows and forbids, and return the report."""
    config = ("--config-file", str(TEMPLATE / "tests/service/schemathesis.toml"))
    report = directory / "report.json"
    command = [str(TOOLS / "st"), *config, "run", f"{url}/openapi.json", f"--report-json-path={report}", *options]
    process = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=300)
    assert report.exists(), process.stdout + process.stderr
    # Shown by pytest if the test fails.
    print(process.stdout)
    results: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return results


def test_api_description_is_valid(start_service: StartService) -> None:
    with start_service() as url:
        description = fetch_json(f"{url}/openapi.json")
    assert description["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(description).validate()


def test_api_description_passes_linters(start_service: StartService, tmp_path: Path) -> None:
    npm_install(tmp_path, "@redocly/cli@2.77.0", "@stoplight/spectral-cli@6.16.3")
    with start_service() as url:
        (tmp_path / "openapi.json").write_text(json.dumps(fetch_json(f"{url}/openapi.json")), "utf-8")
    (tmp_path / ".spectral.yaml").write_text('extends: ["spectral:oas"]\n', "utf-8")
    for linter in ("redocly", "spectral"):
        command = [str(tmp_path / "node_modules/.bin" / linter), "lint", "openapi.json"]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_service_conforms_to_its_api_description(start_service: StartService, tmp_path: Path) -> None:
    with start_service() as url:
        report = findings(url, tmp_path)
    assert (report["failures"], report["errors"], report["exit_code"]) == ([], [], 0)
    assert {name: found for name, found in report["warnings"].items() if found} == {}
    # The service is stateless, so there are no sequences of requests to test.
    assert {name: phase["status"] for name, phase in report["phases"].items()} == {
        "examples": "success",
        "coverage": "success",
        "fuzzing": "success",
        "stateful": "skip",
    }
    rates = report["valid_rates"]
    assert rates.keys() == {"POST /checksums", "POST /crc32c"}
    assert all(counts["accepted"] for phases in rates.values() for counts in phases.values())


def test_checks_detect_their_injected_faults(start_service: StartService, tmp_path: Path) -> None:
    with start_service("python", "-c", FAULTS + SERVE) as url:
        report = findings(url, tmp_path, "--max-examples=30")
    found = {failure["title"]: failure["operations"] for failure in report["failures"]}
    assert found.keys() == FINDINGS.keys()
    for title, place in FINDINGS.items():
        assert place in " ".join(found[title])
