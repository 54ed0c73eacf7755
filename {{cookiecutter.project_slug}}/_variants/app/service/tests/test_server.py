"""How the service ends, and how it stands clients that do not behave."""

import json
import time
from contextlib import suppress

import pytest

from .conftest import running

HEAD = b"POST /crc32c HTTP/1.1\r\nHost: test\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def received(client):
    """Return all that comes until the connection is closed."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def answer_of(client):
    """Return one answer of a connection that stays open."""
    answer = b""
    while not answer.endswith(b"}"):
        piece = client.recv(65536)
        assert piece, "the connection was closed before"
        answer += piece
    return answer


def problem_of(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    return json.loads(body)


def summed(service):
    return service.ask("POST", "/crc32c", b"123456789").json()["crc32c"]


def wait_until_refused(service):
    deadline = time.monotonic() + 10
    with suppress(ConnectionRefusedError):
        while time.monotonic() < deadline:
            service.connect().close()
            time.sleep(0.1)
        pytest.fail("it still accepts connections")


def test_sigterm_lets_a_request_in_flight_end(start):
    service = start(grace_seconds=20)
    with service.connect() as client:
        client.sendall(HEAD + b"Content-Length: 9\r\n\r\n12345")
        time.sleep(0.2)  # until it has been read
        service.process.terminate()
        wait_until_refused(service)
        client.sendall(b"6789")
        answer = received(client)
    assert b'{"crc32c":"e3069283","bytes":9}' in answer
    assert b"connection: close" in answer
    assert service.process.wait(timeout=10) == 0


def test_sigterm_ends_a_request_that_takes_longer_than_the_grace_time(start):
    service = start(grace_seconds=1)
    with service.connect() as client:
        client.sendall(HEAD + b"Content-Length: 9\r\n\r\n12345")
        time.sleep(0.2)
        began = time.monotonic()
        service.process.terminate()
        answer = received(client)
    assert service.process.wait(timeout=10) == 0
    assert time.monotonic() - began < 10
    assert problem_of(answer)["status"] == 503
    assert "Traceback" not in service.log.read_text()


def test_from_sigterm_on_the_service_is_not_ready(start):
    service = start()
    with service.connect() as client:
        client.sendall(b"GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n")
        assert answer_of(client).startswith(b"HTTP/1.1 200 ")
        service.process.terminate()
        client.sendall(b"GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n")
        answer = received(client)
    assert problem_of(answer)["status"] == 503
    assert b"connection: close" in answer
    assert service.process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"no HTTP at all\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (HEAD + b"Content-Length: nine\r\n\r\n", 400),
        (HEAD + b"Content-Length: 9\r\nContent-Length: 8\r\n\r\n123456789", 400),
        (HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (HEAD + b"X: " + b"x" * 1_000_000, 431),
        (CHUNKED + b"no size\r\n", 400),
    ],
    ids=["text", "tls", "no number", "two lengths", "two kinds of length", "encoding", "long head", "broken chunk"],
)
def test_what_is_no_http_is_a_problem(service, request_bytes, status):
    with service.connect() as client:
        try:
            client.sendall(request_bytes)
            answer = received(client)
        except ConnectionError:
            assert status == 431  # the service had closed the connection before all was sent
        else:
            assert problem_of(answer)["status"] == status
    assert summed(service) == "e3069283"


def test_a_body_that_breaks_after_the_answer_ends_the_connection(service):
    with service.connect() as client:
        client.sendall(b"POST /nowhere HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert answer_of(client).startswith(b"HTTP/1.1 404 ")
        client.sendall(b"no size\r\n")
        assert received(client) == b""
    assert "Traceback" not in service.log.read_text()


def test_a_body_that_ends_too_early_leaves_no_traceback(service):
    with service.connect() as client:
        client.sendall(HEAD + b"Content-Length: 100\r\n\r\nno hundred bytes")
    time.sleep(0.5)  # nothing tells when the service has noticed
    assert summed(service) == "e3069283"
    assert "Traceback" not in service.log.read_text()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """Start a service that waits for nobody."""
    with running(tmp_path_factory.mktemp("impatient"), idle_seconds=0.5, keep_alive_seconds=1) as service:
        yield service


def test_a_body_that_stops_coming_is_a_problem(impatient):
    answer = impatient.raw(HEAD + b"Content-Length: 9\r\n\r\n12345")
    assert problem_of(answer)["status"] == 408
    assert b"connection: close" in answer


def test_a_head_that_does_not_come_ends_the_connection(impatient):
    clients = [impatient.connect() for _ in range(3)]
    began = time.monotonic()
    for client, sent in zip(clients, (b"", b"POST /crc32c HT", HEAD), strict=True):
        client.sendall(sent)
    for client in clients:
        with client:
            assert received(client) == b""
    assert time.monotonic() - began > 0.9
    assert summed(impatient) == "e3069283"


@pytest.mark.parametrize("target", ["/nowhere", "/crc32c?expected=z"])
def test_the_rest_of_a_body_that_was_answered_early_is_not_awaited(impatient, target):
    with impatient.connect() as client:
        client.sendall(f"POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n".encode())
        assert answer_of(client).startswith(b"HTTP/1.1 4")
        client.sendall(b"1")
        assert received(client) == b""


def test_a_head_that_comes_slowly_is_read(start):
    # Each within the two seconds that a head may take: the second one has its own.
    with start(keep_alive_seconds=2).connect() as client:
        for _ in range(2):
            for piece in (b"POST /crc32c HT", b"TP/1.1\r\nHost: t", b"est\r\nContent-Length: 0\r\n\r\n"):
                client.sendall(piece)
                time.sleep(0.4)
            assert b'"00000000"' in answer_of(client)
