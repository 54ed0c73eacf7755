"""What the service logs."""

import json
import os
import pty
import re

import pytest

from .conftest import PREFIX, free_port
from .test_command import COMMAND


def test_a_request_is_one_json_line(service):
    service.ask("POST", "/crc32c?expected=e3069283&password=secret", b"123456789", {"x-request-id": "order-66"})
    (event,) = service.events("order-66")
    assert (event["method"], event["path"], event["status"]) == ("POST", "/crc32c", 200)
    assert event["client"] == "127.0.0.1"
    assert event["seconds"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", event["time"])
    assert "secret" not in service.log.read_text()
    assert "123456789" not in service.log.read_text()


def test_a_request_id_is_made_when_there_is_none_that_can_be_logged(service):
    for given in (None, "", "with space", "x" * 129, "\xe9"):
        answer = service.ask("GET", "/healthz", headers={} if given is None else {"x-request-id": given})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert service.ask("GET", "/healthz", headers={"x-request-id": "a.b-c"}).headers["x-request-id"] == "a.b-c"


def test_probes_are_not_logged_unless_they_fail(service):
    for path in ("/healthz", "/readyz", "/metrics"):
        service.ask("GET", path, headers={"x-request-id": "probe"})
    service.ask("POST", "/healthz", headers={"x-request-id": "probe"})
    (event,) = service.events("probe")
    assert (event["path"], event["status"]) == ("/healthz", 405)


def test_on_a_terminal_the_log_is_for_people():
    process, terminal = pty.fork()
    if process == 0:
        os.environ[f"{PREFIX}PORT"] = str(free_port())
        os.execv(COMMAND, [COMMAND, "serve"])
    text = ""
    while "running on" not in text:
        text += os.read(terminal, 4096).decode()
    os.write(terminal, b"\x03")  # Ctrl-C
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    os.close(terminal)
    line = text.splitlines()[0]
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO +Started server process \[\d+\]", line)
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)
