"""The service, started as a process and asked over a socket."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from {{ cookiecutter.package_name }}.healthcheck import LOOPBACK

from .test_command import COMMAND, PACKAGE

PREFIX = f"{PACKAGE.upper()}_"


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen
    host: str
    port: int
    log: Path

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=30)

    def raw(self, request):
        """Send bytes, and return all bytes that come back until the service closes the connection."""
        with self.connect() as client:
            client.sendall(request)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def events(self, request_id):
        """Return what is logged of a request, up to its answer, which is logged after it has been sent."""
        deadline = time.monotonic() + 10
        while True:
            lines = self.log.read_text().splitlines()
            events = [event for event in map(json.loads, lines) if event.get("request_id") == request_id]
            if events and events[-1]["message"] == "answered":
                return events
            assert time.monotonic() < deadline, "nothing is logged"
            time.sleep(0.01)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def environment(**settings):
    """Return this process's environment and some settings of the service."""
    return os.environ | {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}


@contextlib.contextmanager
def running(folder, *command, host="127.0.0.1", **settings):
    """Start a service with these settings, wait until it is ready, and stop it in the end."""
    log, port = folder / "log", free_port()
    with log.open("w") as output:
        variables = environment(host=host, port=port, **settings)
        process = subprocess.Popen(command or [COMMAND, "serve"], env=variables, stderr=output)
    service = Service(process, LOOPBACK.get(host, host), port, log)
    try:
        wait_until_ready(service)
        yield service
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        finally:
            process.kill()


def wait_until_ready(service):
    deadline = time.monotonic() + 30
    while True:
        assert service.process.poll() is None, service.log.read_text()
        try:
            assert service.ask("GET", "/readyz").status == 200
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the service does not answer"
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def start(tmp_path):
    """Start services of one's own: `start(grace_seconds=1)`."""
    with contextlib.ExitStack() as stack:
        yield lambda *command, **settings: stack.enter_context(running(tmp_path, *command, **settings))


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """Start one service that tests share, with the default settings but for a limit of 6 MB."""
    with running(tmp_path_factory.mktemp("service"), max_body_bytes="6MB") as service:
        yield service
