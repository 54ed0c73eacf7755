"""What becomes of errors in routes of one's own."""

import http.client
import sys

import pytest

from .conftest import running
from .test_command import PACKAGE

SCRIPT = f"""
import sys
from fastapi.responses import StreamingResponse
from {PACKAGE} import cli, service

@service.app.get("/typed")
async def typed(number: int):
    return number

@service.app.get("/fails")
async def fails():
    raise RuntimeError("the secret of the route")

@service.app.get("/fails-halfway")
async def fails_halfway():
    async def pieces():
        yield b"first"
        raise RuntimeError("the secret of the route")
    return StreamingResponse(pieces(), headers=dict([("content-length", "100")]))

sys.exit(cli.main(["serve"]))
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """Start a service with further routes."""
    with running(tmp_path_factory.mktemp("extended"), sys.executable, "-c", SCRIPT) as service:
        yield service


def test_a_parameter_of_the_wrong_type_is_a_problem(extended):
    assert extended.ask("GET", "/typed?number=1").json() == 1
    answer = extended.ask("GET", "/typed?number=one")
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [error["at"] for error in answer.json()["errors"]] == ["query/number"]


def test_a_failure_has_one_traceback_in_the_log_and_none_for_the_client(extended):
    answer = extended.ask("GET", "/fails", headers={"x-request-id": "abc"})
    assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.headers["x-request-id"] == "abc"
    assert "secret" not in answer.body.decode()
    failure, event = extended.events("abc")
    assert failure["level"] == "error"
    assert "the secret of the route" in failure["traceback"]
    assert event["status"] == 500
    assert len(extended.log.read_text().split("Traceback")) == 2
    assert extended.ask("GET", "/healthz").status == 200


def test_a_failure_after_the_answer_has_begun_cuts_it_off(extended):
    with pytest.raises(http.client.IncompleteRead):
        extended.ask("GET", "/fails-halfway")
    assert "the secret of the route" in extended.log.read_text()
    assert extended.ask("GET", "/healthz").status == 200
