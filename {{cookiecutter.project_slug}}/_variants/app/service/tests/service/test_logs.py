"""Log lines of the service."""

import os
import re
import signal
import subprocess

from .conftest import COMMAND, extended_command
from .process import environment, exec_after, free_port


def test_request_is_logged_as_one_json_line(service):
    service.request("POST", "/stream?password=secret", b"123456789", {"x-request-id": "order-66"})
    (event,) = service.events("order-66")
    assert (event["method"], event["path"], event["status"]) == ("POST", "/stream", 200)
    assert event["client"] == "127.0.0.1"
    assert event["seconds"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", event["time"])
    assert "secret" not in service.log.read_text()
    assert "123456789" not in service.log.read_text()


def test_missing_or_unsafe_request_id_is_replaced(service):
    for given in (None, "", "with space", "x" * 129, "\xe9"):
        response = service.request("GET", "/healthz", headers={} if given is None else {"x-request-id": given})
        assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])
    assert service.request("GET", "/healthz", headers={"x-request-id": "a.b-c"}).headers["x-request-id"] == "a.b-c"


def test_probes_are_logged_only_if_they_fail(service):
    for path in ("/healthz", "/readyz", "/metrics"):
        service.request("GET", path, headers={"x-request-id": "probe"})
    service.request("POST", "/healthz", headers={"x-request-id": "probe"})
    (event,) = service.events("probe")
    assert (event["path"], event["status"]) == ("/healthz", 405)


def test_log_is_plain_text_on_a_terminal():
    ours, terminal = os.openpty()
    variables = environment(host="127.0.0.1", port=free_port())
    with subprocess.Popen(COMMAND, env=variables, stderr=terminal) as process:
        os.close(terminal)
        text = ""
        while "running on" not in text:
            text += os.read(ours, 4096).decode()
        process.send_signal(signal.SIGINT)  # Ctrl-C
        assert process.wait(timeout=30) == 0
    os.close(ours)
    line = text.splitlines()[0]
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO +Started server process \[\d+\]", line)


def test_blocked_stderr_does_not_stop_service(start_service, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    service = start_service(*exec_after(f"os.dup2(os.open({str(fifo)!r}, os.O_WRONLY), 2)", COMMAND))
    request = b"GET /" + 500 * b"x" + b" HTTP/1.1\r\nHost: test\r\n"
    response = service.send_raw(2000 * (request + b"\r\n") + request + b"Connection: close\r\n\r\n")
    assert response.count(b"HTTP/1.1 404 ") == 2001
    os.set_blocking(reader, True)
    text = b""
    while b"log lines were dropped, because stderr was blocked" not in text:
        text += os.read(reader, 65536)
    service.request("GET", "/nowhere")
    service.process.terminate()
    assert service.process.wait(timeout=30) == 0
    os.close(reader)


def test_closed_stderr_does_not_stop_service(start_service):
    service = start_service(*exec_after("os.close(2)", COMMAND))
    assert service.post_json("/json", {"number": 1}).json() == {"number": 2}
    service.process.terminate()
    assert service.process.wait(timeout=30) == 0


INVALID_LOG_CALL = """
import logging
@app.get("/log")
async def get_log():
    logging.getLogger().warning("%d", "no number")
    return {"logged": False}
"""


def test_invalid_log_call_does_not_fail_the_request(start_service):
    assert start_service(*extended_command(INVALID_LOG_CALL)).request("GET", "/log").json() == {"logged": False}
