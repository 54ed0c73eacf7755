"""Shutdown, and the handling of clients that misbehave."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from {{ cookiecutter.package_name }}.service import PREFIX

from .conftest import COMMAND, SMALL_APP, extended_command
from .process import environment, exec_after, receive_all, run_service, wait_until_in_flight

HEADERS = b"POST /stream HTTP/1.1\r\nHost: test\r\n"
CHUNKED = HEADERS + b"Transfer-Encoding: chunked\r\n\r\n"
READY = b"GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n"


def receive_response(client):
    """Return one response of a connection that stays open."""
    response = b""
    while not response.endswith(b"}"):
        chunk = client.recv(65536)
        assert chunk, "the connection was closed early"
        response += chunk
    return response


def assert_responds(service):
    assert service.request("POST", "/stream", b"123456789").json() == {"bytes": 9}


def wait_until_refused(service):
    deadline = time.monotonic() + 30
    with suppress(ConnectionRefusedError):
        while time.monotonic() < deadline:
            service.connect().close()
            time.sleep(0.1)
        pytest.fail("the service still accepts connections")


def test_sigterm_finishes_a_request(start_service):
    service = start_service(grace_seconds=20)
    with service.connect() as client:
        client.sendall(HEADERS + b"Content-Length: 9\r\n\r\n12345")
        wait_until_in_flight(service, 1)
        service.process.terminate()
        wait_until_refused(service)
        client.sendall(b"6789")
        response = receive_all(client)
    assert response.endswith(b'{"bytes":9}')
    assert b"connection: close" in response
    assert service.process.wait(timeout=10) == 0


def test_sigterm_cancels_a_request_after_the_grace_period(start_service):
    service = start_service(grace_seconds=1)
    with service.connect() as client:
        client.sendall(HEADERS + b"Content-Length: 9\r\n\r\n12345")
        wait_until_in_flight(service, 1)
        started = time.monotonic()
        service.process.terminate()
        response = receive_all(client)
    assert service.process.wait(timeout=10) == 0
    assert time.monotonic() - started < 10
    assert response.startswith(b"HTTP/1.1 503 ")
    assert b"content-type: application/problem+json" in response
    assert "Traceback" not in service.log.read_text()


def test_sigterm_drains_connections(start_service):
    service = start_service(drain_seconds=10)
    with service.connect() as client:
        client.sendall(READY)
        assert receive_response(client).startswith(b"HTTP/1.1 200 ")
        service.process.terminate()
        while service.request("GET", "/readyz").status == 200:
            time.sleep(0.01)
        client.sendall(READY)
        response = receive_all(client)
    assert response.startswith(b"HTTP/1.1 503 ")
    assert b"connection: close" in response
    assert service.request("GET", "/readyz").status == 503
    assert_responds(service)
    wait_until_refused(service)
    assert service.process.wait(timeout=10) == 0


THREAD = """
import asyncio, re, time
@app.get("/thread")
async def thread():
    await asyncio.to_thread(work)
def work():
"""


# The regular expression does not release the GIL.
WORK = ["time.sleep(60)", "time.sleep(1); re.match('(a+)+$', 40 * 'a' + 'b')"]
# Fill a pipe, whose size differs, so that writing to stderr blocks.
BLOCK = "fifo = os.open({!r}, os.O_WRONLY | os.O_NONBLOCK); os.write(fifo, bytes(1 << 20)); "
BLOCK += "os.set_blocking(fifo, True); os.dup2(fifo, 2)"


def test_sigterm_ends_the_process_while_c_code_runs(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        services = []
        for work, blocked in itertools.product(WORK, (False, True)):
            directory, command = tmp_path_factory.mktemp("service"), extended_command(f"{THREAD}    {work}")
            os.mkfifo(fifo := directory / "fifo")
            stack.callback(os.close, os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
            command = exec_after(BLOCK.format(str(fifo)), command) if blocked else command
            service = stack.enter_context(run_service(directory, *command, grace_seconds=1))
            services.append((service, blocked))
        for service, _ in services:
            client = stack.enter_context(service.connect())
            client.sendall(b"GET /thread HTTP/1.1\r\nHost: test\r\n\r\n")
        time.sleep(0.5)
        for service, _ in services:
            service.process.terminate()
        for service, blocked in services:
            # The work would take longer.
            assert service.process.wait(timeout=20) == 1
            assert blocked or '"Shutting down"' in service.log.read_text()
            assert blocked or "in work" in service.log.read_text()


def test_connections_stay_below_open_file_limit(start_service):
    service = start_service(*exec_after("resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))", COMMAND))
    with contextlib.ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(service.connect())
            time.sleep(0.005)  # the kernel drops connections if too many wait to be accepted
        assert_responds(service)
    assert service.log.read_text().count("too many connections") == 1
    assert "Too many open files" not in service.log.read_text()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"no HTTP at all\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        HEADERS + b"Content-Length: nine\r\n\r\n",
        HEADERS + b"Content-Length: 9\r\nContent-Length: 8\r\n\r\n123456789",
        HEADERS + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEADERS.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEADERS + b"Transfer-Encoding: gzip\r\n\r\n",
        HEADERS + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        HEADERS + b"X: " + b"x" * 1_000_000,
        CHUNKED + b"no size\r\n",
        CHUNKED + b"9;" + b"x" * 1_000_000,
        CHUNKED + b"0\r\nX: " + b"x" * 1_000_000,
    ],
    ids=[
        *("text", "tls", "no number", "two lengths", "two kinds of length", "http 1.0", "encoding", "two encodings"),
        *("long headers", "broken chunk", "long chunk size", "long trailer"),
    ],
)
def test_malformed_request_is_rejected(service, request_bytes):
    with service.connect() as client:
        try:
            client.sendall(request_bytes)
            response = receive_all(client)
        except ConnectionError:
            assert len(request_bytes) > 100_000  # closed before all was sent
        else:
            assert response.startswith(b"HTTP/1.1 400 ")
    assert_responds(service)


def test_malformed_request_is_counted_and_logged_once(start_service):
    service = start_service()
    with suppress(ConnectionError):  # the service may close the connection before it receives the second part
        service.send_raw(b"no HTTP\r\n\r\n", b"no HTTP\r\n\r\n")
    service.send_raw(CHUNKED, b"no size\r\n")
    assert "http_malformed_requests_total 2.0\n" in service.request("GET", "/metrics").body.decode()
    service.process.terminate()
    assert service.process.wait(timeout=10) == 0  # it has written all log lines
    events = [json.loads(line) for line in service.log.read_text().splitlines()]
    malformed = [event for event in events if event["message"] == "malformed request"]
    assert [(event["level"], event["client"]) for event in malformed] == [("warning", "127.0.0.1")] * 2


def test_absolute_form_is_routed(service):
    request = b"GET http://test/readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    assert service.send_raw(request).startswith(b"HTTP/1.1 200 ")


def test_upgrade_is_ignored(service):
    upgrade = HEADERS + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    response = service.send_raw(
        upgrade + b"Content-Length: 9\r\n\r\n1234",
        b"56789" + upgrade + b"Transfer-Encoding: chunked\r\n\r\n3\r\n123\r\n0\r\n\r\n",
        HEADERS + b"Connection: close\r\nContent-Length: 1\r\n\r\n1",
    )
    assert [part.partition(b"}")[0] for part in response.split(b'{"bytes":')[1:]] == [b"9", b"3", b"1"]


def test_second_upgrade_in_one_read_closes_connection(service):
    upgrade = HEADERS + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\n1"
    assert service.send_raw(upgrade * 2).count(b"HTTP/1.1 200 ") == 1
    assert_responds(service)
    assert "Traceback" not in service.log.read_text()


def test_connect_method_is_rejected(service):
    assert service.send_raw(b"CONNECT test:443 HTTP/1.1\r\nHost: test\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert service.send_raw(b"CONNECT / HTTP/1.1\r\nHost: test\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert_responds(service)
    assert "Traceback" not in service.log.read_text()


def test_malformed_request_does_not_affect_earlier_response(service):
    slow = b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n"
    drip = CHUNKED.replace(b"/stream", b"/drip")
    for parts in ([slow + b"no HTTP\r\n\r\n"], [slow, b"no HTTP\r\n\r\n"], [drip, b"no size\r\n"]):
        assert b" 400 " not in service.send_raw(*parts)
    assert_responds(service)


def test_incomplete_body_leaves_no_traceback(service):
    with service.connect() as client:
        client.sendall(HEADERS + b"Content-Length: 100\r\n\r\nless than that")
        wait_until_in_flight(service, 1)
    wait_until_in_flight(service, 0)
    assert_responds(service)
    assert "Traceback" not in service.log.read_text()


def test_malformed_rest_of_body_closes_connection(service):
    with service.connect() as client:
        client.sendall(b"POST /nowhere HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert receive_response(client).startswith(b"HTTP/1.1 404 ")
        client.sendall(b"no size\r\n")
        receive_all(client)
    assert "Traceback" not in service.log.read_text()


def test_headers_have_a_deadline(start_service):
    service = start_service(keep_alive_seconds=5)
    requests = list(itertools.product((0, 1), [(b"", b""), (b"POST /stream HT", b"T"), (HEADERS, b"X: y")]))
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(service.connect()) for _ in requests]
        for client, (complete, (first, _)) in zip(clients, requests, strict=True):
            client.sendall(READY * complete + first)
        time.sleep(3)
        for client, (_, (_, second)) in zip(clients, requests, strict=True):
            client.sendall(second)
        # More bytes do not extend the deadline to eight seconds, either for the first request or for the next one.
        for client, (complete, _) in zip(clients, requests, strict=True):
            assert receive_all(client).count(b"HTTP/1.1 ") == complete
            assert 4.9 < time.monotonic() - started < 8
    assert_responds(service)


def test_slow_headers_are_read(start_service):
    # The headers of each request arrive within three seconds; those of both together do not.
    with start_service(keep_alive_seconds=3).connect() as client:
        for _ in range(2):
            for part in (b"POST /stream HT", b"TP/1.1\r\nHost: t", b"est\r\nContent-Length: 0\r\n\r\n"):
                client.sendall(part)
                time.sleep(0.6)
            assert b'"bytes":0' in receive_response(client)


def test_app_is_complete_under_uvicorn(tmp_path):
    script = (
        "import os, sys, uvicorn; sys.path.insert(0, sys.argv[1]);"
        f"uvicorn.run('small_app:app', port=int(os.environ['{PREFIX}PORT']))"
    )
    command = [sys.executable, "-c", script, str(SMALL_APP.parent)]
    with run_service(tmp_path, *command, max_body_bytes="1KiB") as service:
        assert service.request("POST", "/stream", bytes(1025), {"x-request-id": "large"}).status == 413
        (event,) = service.events("large")
        assert event["status"] == 413
        assert 'status="413"' in service.request("GET", "/metrics").body.decode()


def test_startup_fails_if_the_port_is_in_use(service):
    variables = environment(host=service.host, port=service.port)
    result = subprocess.run(COMMAND, env=variables, capture_output=True, check=False, timeout=60)
    assert result.returncode != 0
    assert b"address already in use" in result.stderr
    assert b"Traceback" not in result.stderr
