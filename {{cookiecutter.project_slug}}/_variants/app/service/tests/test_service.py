"""The routes of the service."""

import asyncio
import base64
import json
import tracemalloc

import pytest

from {{ cookiecutter.package_name }} import crc32c
from {{ cookiecutter.package_name }}.service import BATCH_BYTES, crc32c_of

DIGITS = b"123456789"
LARGE = bytes(range(250)) * 20_000


def assert_problem(answer, status):
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    return problem


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"", "00000000"), (DIGITS, "e3069283"), (LARGE, f"{crc32c(LARGE):08x}")],
    ids=["empty", "small", "large"],
)
def test_a_body_is_summed(service, body, expected):
    answer = service.ask("POST", "/crc32c", body)
    assert (answer.status, answer.json()) == (200, {"crc32c": expected, "bytes": len(body)})


def test_a_chunked_body_is_summed(service):
    answer = service.ask("POST", "/crc32c", iter([b"1234", b"56789"]))
    assert (answer.status, answer.json()["crc32c"]) == (200, "e3069283")


def test_a_body_in_tiny_pieces_takes_no_more_memory():
    async def pieces():
        for _ in range(BATCH_BYTES // 2):
            yield b"12"

    tracemalloc.start()
    try:
        assert asyncio.run(crc32c_of(pieces()))[1] == BATCH_BYTES
        assert tracemalloc.get_traced_memory()[1] < 4 * BATCH_BYTES
    finally:
        tracemalloc.stop()


def encoded(value):
    return f"crc32c={base64.b64encode(value.to_bytes(4)).decode()}"


AS_EXPECTED = [
    ("?expected=e3069283", {}),
    ("?expected=E3069283", {}),
    ("", {"x-goog-hash": encoded(0xE3069283)}),
    ("", {"x-goog-hash": f"md5=AAAA,{encoded(0xE3069283)}"}),
    ("?expected=e3069283", {"x-goog-hash": encoded(0xE3069283)}),
    ("", {"x-goog-hash": "md5=AAAA"}),
]
OTHERWISE = [
    ("?expected=e3069284", {}),
    ("?expected=e3069283&expected=00000000", {}),
    ("", {"x-goog-hash": encoded(0)}),
    ("?expected=e3069283", {"x-goog-hash": encoded(0)}),
]
SENSELESS = [
    ("?expected=", {}),
    ("?expected=e306928", {}),
    ("?expected=e306928g", {}),
    ("?expected=e3069283%0A", {}),
    ("", {"x-goog-hash": "crc32c=4waSgw="}),
    ("", {"x-goog-hash": "crc32c=4waSgwA="}),
    ("", {"x-goog-hash": "crc32c="}),
]


@pytest.mark.parametrize(("query", "headers"), AS_EXPECTED)
def test_what_is_expected_is_confirmed(service, query, headers):
    assert service.ask("POST", f"/crc32c{query}", DIGITS, headers).status == 200


@pytest.mark.parametrize(("query", "headers"), OTHERWISE)
def test_another_sum_than_expected_is_a_problem(service, query, headers):
    problem = assert_problem(service.ask("POST", f"/crc32c{query}", DIGITS, headers), 422)
    assert (problem["crc32c"], problem["bytes"]) == ("e3069283", 9)


@pytest.mark.parametrize(("query", "headers"), SENSELESS)
def test_what_cannot_be_expected_is_a_problem(service, query, headers):
    problem = assert_problem(service.ask("POST", f"/crc32c{query}", DIGITS, headers), 422)
    assert "crc32c" not in problem


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/crc32c", 405), ("POST", "/healthz", 405), ("BREW", "/healthz", 405)],
)
def test_a_wrong_turn_is_a_problem(service, method, path, status):
    answer = service.ask(method, path)
    assert_problem(answer, status)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_a_problem(service, chunked):
    body = bytes(6_000_001)
    assert_problem(service.ask("POST", "/crc32c", iter([body]) if chunked else body), 413)
    assert service.ask("POST", "/crc32c", body[:-1]).status == 200


def test_a_client_that_asks_first_need_not_send_a_body_that_is_too_large(service):
    request = b"POST /crc32c HTTP/1.1\r\nHost: test\r\nContent-Length: 6000001\r\nExpect: 100-continue\r\n\r\n"
    with service.connect() as client:
        client.sendall(request)
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_the_probes_are_answered(service, path):
    answer = service.ask("GET", path)
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


def test_the_metrics_count_requests_and_bytes(service):
    def metrics():
        lines = service.ask("GET", "/metrics").body.decode().splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

    requests = 'http_request_duration_seconds_count{method="POST",route="/crc32c",status="200"}'
    service.ask("POST", "/crc32c", DIGITS)
    before = metrics()
    service.ask("POST", "/crc32c", DIGITS)
    after = metrics()
    assert float(after[requests]) - float(before[requests]) == 1
    assert float(after["crc32c_bytes_total"]) - float(before["crc32c_bytes_total"]) == len(DIGITS)
    assert float(after["http_requests_in_flight"]) == 1  # this one


def test_a_client_cannot_make_as_many_time_series_as_it_likes(service):
    for name in ("one", "two", "three"):
        service.ask(name.upper(), f"/{name}")
    metrics = service.ask("GET", "/metrics").body.decode()
    assert 'method="other",route="unmatched",status="404"' in metrics
    assert "one" not in metrics.replace("None", "").lower().split('"')


def test_the_api_describes_itself(service):
    description = service.ask("GET", "/openapi.json").json()
    operation = description["paths"]["/crc32c"]["post"]
    assert "application/octet-stream" in operation["requestBody"]["content"]
    assert {parameter["name"] for parameter in operation["parameters"]} == {"expected", "x-goog-hash"}
    for status in ("400", "408", "413", "422", "500", "503"):
        assert list(operation["responses"][status]["content"]) == ["application/problem+json"]
    assert b"swagger" in service.ask("GET", "/docs").body


def test_the_digest_in_the_description_is_an_example_that_works(service):
    description = json.dumps(service.ask("GET", "/openapi.json").json())
    assert encoded(0xE3069283) in description
