"""The HTTP service, started as a process and asked over a socket."""

import http.client
import json
import signal
import socket
import subprocess
import time

import pytest

from {{ cookiecutter.package_name }} import crc32c
from {{ cookiecutter.package_name }}.healthcheck import is_healthy

from .test_command import COMMAND

LARGE = bytes(range(250)) * 20_000


@pytest.fixture(scope="module")
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("service") / "log"


@pytest.fixture(scope="module")
def service(port, log):
    command = [COMMAND, "serve", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    deadline = time.monotonic() + 30
    while not is_healthy(port=port):
        assert process.poll() is None, "the service has ended"
        assert time.monotonic() < deadline, "the service does not answer"
        time.sleep(0.05)
    yield process
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"", "00000000"), (b"123456789", "e3069283"), (LARGE, f"{crc32c(LARGE):08x}")],
    ids=["empty", "small", "large"],
)
def test_a_body_is_summed(port, body, expected):
    assert ask(port, "POST", "/crc32c", body) == (200, {"crc32c": expected, "bytes": len(body)})


@pytest.mark.usefixtures("service")
def test_a_chunked_body_is_summed(port):
    status, answer = ask(port, "POST", "/crc32c", iter([b"1234", b"56789"]))
    assert (status, answer["crc32c"]) == (200, "e3069283")


@pytest.mark.usefixtures("service")
def test_the_health_check_is_answered(port):
    assert ask(port, "GET", "/healthz") == (200, {"status": "ok"})


@pytest.mark.usefixtures("service")
def test_the_body_is_in_the_api_description(port):
    _, description = ask(port, "GET", "/openapi.json")
    assert "application/octet-stream" in description["paths"]["/crc32c"]["post"]["requestBody"]["content"]


@pytest.mark.usefixtures("service")
def test_a_client_that_leaves_early_leaves_no_traceback(port, log):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST /crc32c HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nno hundred bytes")
    time.sleep(0.5)  # nothing tells when the service has noticed
    assert ask(port, "GET", "/healthz") == (200, {"status": "ok"})
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_port_that_cannot_be_is_refused_in_one_sentence(port):
    result = subprocess.run([COMMAND, "serve", f"--port={port}"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "is no number from 0 to 65535" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_service_the_health_check_fails():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert not is_healthy(port=free.getsockname()[1], timeout=0.5)
