"""Limits and metrics of requests, for any kind of app."""

import contextlib

import pytest

from .conftest import extended_command
from .process import receive_all, run_service, wait_until_in_flight
from .test_problems import assert_problem

HEADERS = b" HTTP/1.1\r\nHost: test\r\n"
MIDDLEWARE = """
@app.middleware("http")
async def add_header(request, call_next):
    response = await call_next(request)
    response.headers["x-added"] = "yes"
    return response
"""


@pytest.fixture(scope="module", params=["", MIDDLEWARE], ids=["plain", "middleware"])
def limited_service(request, tmp_path_factory):
    """Start services with small limits, without and with middleware of the app."""
    limits = {"max_body_bytes": "6MB", "idle_seconds": 1, "keep_alive_seconds": 2}
    directory = tmp_path_factory.mktemp("limited")
    with run_service(directory, *extended_command(request.param), **limits) as service:
        yield service
        assert "Traceback" not in service.log.read_text()


@pytest.mark.parametrize("path", ["/stream", "/json"])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_body_is_rejected(limited_service, path, connection, chunked):
    body = bytes(6_000_001)
    headers = {"content-type": "application/json", "connection": connection}
    assert_problem(limited_service.request("POST", path, iter([body]) if chunked else body, headers), 413)
    assert limited_service.request("POST", "/stream", body[:-1]).json() == {"bytes": 6_000_000}


@pytest.mark.parametrize("path", ["/stream", "/json"])
def test_stalled_body_is_rejected(limited_service, path):
    for rest in (b"Content-Length: 9\r\n\r\n12345", b"Transfer-Encoding: chunked\r\n\r\n9\r\n12345"):
        response = limited_service.send_raw(b"POST " + path.encode() + HEADERS + rest)
        assert response.startswith(b"HTTP/1.1 408 ")
        assert b"content-type: application/problem+json" in response
        assert b"connection: close" in response
        assert response.count(b"HTTP/1.1") == 1


def test_slow_body_is_rejected(limited_service):
    with limited_service.connect() as client:
        client.sendall(b"POST /stream" + HEADERS + b"Content-Length: 900\r\n\r\n")
        client.settimeout(0.1)
        # Each byte arrives in time, but all together would take much longer than idle_seconds.
        for _ in range(100):
            with contextlib.suppress(TimeoutError):
                assert client.recv(65536).startswith(b"HTTP/1.1 408 ")
                return
            client.sendall(b"1")
    pytest.fail("there was no response")


def test_pauses_of_a_body_are_accepted_if_enough_bytes_arrive(start_service):
    request = b"POST /stream" + HEADERS + b"Connection: close\r\nContent-Length: 3000\r\n\r\n"
    response = start_service(idle_seconds=2).send_raw(request, *[bytes(500)] * 6, pause=0.5)
    assert b'{"bytes":3000}' in response


def test_rejected_request_is_in_log_and_metrics(limited_service):
    limited_service.request("POST", "/stream", iter([bytes(6_000_001)]), {"x-request-id": "large"})
    (event,) = limited_service.events("large")
    assert event["status"] == 413
    assert 'route="/stream",status="413"' in limited_service.request("GET", "/metrics").body.decode()


def test_large_body_is_rejected_before_it_is_sent(limited_service):
    request = b"POST /stream" + HEADERS + b"Content-Length: 6000001\r\nExpect: 100-continue\r\n\r\n"
    assert limited_service.send_raw(request).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/nowhere", "/healthz"])
def test_early_response_reaches_the_client(limited_service, path):
    response = limited_service.request("POST", path, bytes(5_000_000), {"connection": "close"})
    assert_problem(response, 404 if path == "/nowhere" else 405)


INCOMPLETE_BODIES = [b"Content-Length: 9\r\n\r\n1", b"Transfer-Encoding: chunked\r\n\r\n9\r\n1"]


@pytest.mark.parametrize("rest", INCOMPLETE_BODIES)
def test_rest_of_body_times_out(limited_service, rest):
    with limited_service.connect() as client:
        client.settimeout(5)
        client.sendall(b"POST /nowhere" + HEADERS + rest)
        assert client.recv(65536).startswith(b"HTTP/1.1 404 ")
        client.sendall(b"2")
        receive_all(client)


@pytest.mark.parametrize("code", ["", MIDDLEWARE], ids=["plain", "middleware"])
def test_error_response_does_not_wait_for_rest_of_body(start_service, code):
    service = start_service(*extended_command(code))
    for rest in INCOMPLETE_BODIES:
        with service.connect() as client:
            client.settimeout(20)  # shorter than idle_seconds
            client.sendall(b"POST /nowhere" + HEADERS + rest)
            assert client.recv(65536).startswith(b"HTTP/1.1 404 ")


def test_task_cancelled_by_route_returns_500(failing_service):
    assert_problem(failing_service.request("GET", "/cancel", headers={"x-request-id": "cancel"}), 500)
    assert "unexpected error" in [event["message"] for event in failing_service.events("cancel")]


def test_response_ends_although_a_background_task_fails(failing_service):
    response = failing_service.request("POST", "/background", bytes(5_000_000), {"connection": "close"})
    assert response.json() == "accepted"
    response = failing_service.send_raw(b"POST /background" + HEADERS + b"Content-Length: 9\r\n\r\n12345", b"6789")
    assert response.endswith(b'"accepted"')


def test_route_limit_overrides_the_setting(service):
    assert service.request("POST", "/large", bytes(6_500_000)).json() == {"bytes": 6_500_000}
    assert_problem(service.request("POST", "/large", bytes(7_000_001)), 413)
    assert_problem(service.request("POST", "/large", iter([bytes(7_000_001)])), 413)


@pytest.mark.parametrize("rest", [b"Content-Length: 600000\r\n\r\n1", b"Transfer-Encoding: chunked\r\n\r\n1\r\n1"])
def test_bodies_share_limited_memory(start_service, rest):
    service = start_service(body_memory_bytes="1MB")
    with service.connect() as client:
        client.sendall(b"POST /json" + HEADERS + rest)
        wait_until_in_flight(service, 1)
        response = service.request("POST", "/json", bytes(600_000))
        assert_problem(response, 503)
        assert response.headers["retry-after"] == "1"
        assert service.request("GET", "/readyz").status == 200
    wait_until_in_flight(service, 0)
    assert_problem(service.request("POST", "/json", bytes(600_000)), 422)


def test_mounted_app_responds(service):
    response = service.request("GET", "/admin/page", headers={"x-request-id": "page"})
    assert (response.status, response.json()) == (200, "page")
    (event,) = service.events("page")
    assert (event["path"], event["status"]) == ("/admin/page", 200)


def metrics(service):
    lines = service.request("GET", "/metrics").body.decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_requests_are_counted(service):
    name = 'http_request_duration_seconds_count{method="POST",route="/json",status="200"}'
    service.post_json("/json", {"number": 1})
    before = metrics(service)
    assert service.post_json("/json", {"number": 1}).json() == {"number": 2}
    after = metrics(service)
    assert float(after[name]) - float(before[name]) == 1
    assert float(after["http_requests_in_flight"]) == 1  # this one


def test_clients_cannot_create_time_series(service):
    for name in ("M-SEARCH", "PROPFIND", "UNLOCK"):
        service.request(name, f"/{name.lower()}")
    text = service.request("GET", "/metrics").body.decode()
    assert 'method="other",route="unmatched",status="404"' in text
    assert "propfind" not in text.lower()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_respond(service, path):
    response = service.request("GET", path)
    assert (response.status, response.json()) == (200, {"status": "ok"})
