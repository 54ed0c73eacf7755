"""Error responses of routes."""

import http.client

import pytest

from .conftest import extended_command


def assert_problem(response, status):
    assert response.status == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    return problem


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/json", 405), ("POST", "/healthz", 405)]
)
def test_wrong_path_or_method_returns_problem_document(service, method, path, status):
    response = service.request(method, path)
    assert_problem(response, status)
    assert ("allow" in response.headers) == (status == 405)


def test_any_http_exception_of_a_route_is_returned(service):
    assert assert_problem(service.request("GET", "/raise/409"), 409)["detail"] == "wrong"
    assert assert_problem(service.request("GET", "/raise/409?text=0"), 409)["errors"] == {"field": "wrong"}
    assert assert_problem(service.request("GET", "/raise/499"), 499)["title"] == "Error"
    response = service.request("GET", "/raise/304")
    assert (response.status, response.body) == (304, b"")


def test_upload_that_could_not_be_stored_is_a_server_error(failing_service):
    assert_problem(failing_service.request("POST", "/upload", headers={"x-request-id": "upload"}), 500)
    assert "disk full" in failing_service.events("upload")[0]["traceback"]


def test_invalid_parameter_returns_problem_document(service):
    assert service.request("GET", "/typed?number=1").json() == 1
    problem = assert_problem(service.request("GET", "/typed?number=one"), 422)
    assert [error["at"] for error in problem["errors"]] == ["query/number"]
    problem = assert_problem(service.post_json("/json", {"number": "one"}), 422)
    assert [error["at"] for error in problem["errors"]] == ["body/number"]
    problem = assert_problem(service.request("POST", "/json", b"{", {"content-type": "application/json"}), 422)
    assert problem["errors"][0]["detail"].startswith("JSON decode error: Expecting property name")


def test_error_of_a_validator_has_no_prefix(service):
    problem = assert_problem(service.request("GET", "/typed?number=13"), 422)
    assert problem["errors"] == [{"at": "query/number", "detail": "13 is not accepted"}]


def test_failure_is_logged_but_not_returned(failing_service):
    service, before = failing_service, failing_service.log.read_text()
    response = service.request("GET", "/fail", headers={"x-request-id": "abc"})
    assert_problem(response, 500)
    assert response.headers["x-request-id"] == "abc"
    assert "secret" not in response.body.decode()
    error_event, event = service.events("abc")
    assert error_event["level"] == "error"
    assert "secret of the route" in error_event["traceback"]
    assert event["status"] == 500
    assert service.log.read_text().removeprefix(before).count("Traceback") == 1
    assert service.request("GET", "/healthz").status == 200


def test_failure_during_response_closes_connection(failing_service):
    service, before = failing_service, failing_service.log.read_text()
    with pytest.raises(http.client.IncompleteRead):
        service.request("GET", "/fail-halfway", headers={"x-request-id": "half"})
    error_event = service.events("half")[0]
    assert "secret of the route" in error_event["traceback"]
    assert service.log.read_text().removeprefix(before).count("Traceback") == 1
    assert service.request("GET", "/healthz").status == 200


EXCEPTION_HANDLER = """
from fastapi.responses import PlainTextResponse
@app.exception_handler(Exception)
async def handle_exception(request, error):
    return PlainTextResponse(f"handled {type(error).__name__}", 503)
"""


def test_exception_handler_of_the_app_is_called(start_service):
    service = start_service(*extended_command(EXCEPTION_HANDLER))
    response = service.request("GET", "/fail", headers={"x-request-id": "abc"})
    assert (response.status, response.body) == (503, b"handled RuntimeError")
    error_event, event = service.events("abc")
    assert "secret of the route" in error_event["traceback"]
    assert event["status"] == 503


def test_errors_are_in_the_api_description(documented_service):
    description = documented_service.request("GET", "/openapi.json").json()
    for operations in description["paths"].values():
        for operation in operations.values():
            assert operation["responses"].keys() == {"200", "default"}
            assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"]
