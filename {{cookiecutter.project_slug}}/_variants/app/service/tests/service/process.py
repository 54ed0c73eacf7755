"""A service in a process of its own, and a client for it."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from {{ cookiecutter.package_name }}.service import PREFIX
from {{ cookiecutter.package_name }}.service.healthcheck import LOOPBACK


@dataclass
class Response:
    """A response that has been read."""

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

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())

    def post_json(self, path, value, headers=None):
        headers = {"content-type": "application/json", **(headers or {})}
        return self.request("POST", path, json.dumps(value), headers)

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=30)

    def send_raw(self, *parts, pause=0.2):
        """Send bytes, and return all bytes that the service sends until it closes the connection."""
        with self.connect() as client:
            for number, part in enumerate(parts):
                time.sleep(pause if number else 0)
                client.sendall(part)
            return receive_all(client)

    def events(self, request_id):
        """Return the log events of a request, once it is finished."""
        deadline = time.monotonic() + 10
        while True:
            # The command `uvicorn` logs a few lines in its own format, before it starts the app.
            *complete, _ = self.log.read_text().split("\n")
            lines = [line for line in complete if not line.startswith("INFO: ")]
            events = [event for event in map(json.loads, lines) if event.get("request_id") == request_id]
            if any(event["message"] == "responded" for event in events):
                return events
            assert time.monotonic() < deadline, "nothing was logged"
            time.sleep(0.01)


def wait_until_in_flight(service, count):
    """Wait until the service processes this number of requests, without the one that asks for it."""
    deadline = time.monotonic() + 30
    while f"http_requests_in_flight {count + 1}.0\n" not in service.request("GET", "/metrics").body.decode():
        assert time.monotonic() < deadline, f"{count} requests were never in flight"
        time.sleep(0.01)


def receive_all(client):
    """Return all bytes until the service closes the connection."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def exec_after(statement, command):
    """Return a command that executes a statement, then another command in the same process."""
    code = f"import os, resource, sys; {statement}; os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", code, *command]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**settings):
    """Return the environment of this process, with tests/settings.env and additional settings of the service."""
    lines = Path(__file__).parents[1].joinpath("settings.env").read_text().splitlines()
    own = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return os.environ | own | {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}


@contextlib.contextmanager
def run_service(directory, *command, host="127.0.0.1", port=None, cwd=None, **settings):
    """Start a service, wait until it is ready, and stop it at the end."""
    log, port = directory / "log", port or free_port()
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment(host=host, port=port, **settings), stderr=output, cwd=cwd)
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
    deadline = time.monotonic() + 60
    while True:
        assert service.process.poll() is None, service.log.read_text()
        try:
            assert service.request("GET", "/readyz").status == 200
        except ConnectionError:
            assert time.monotonic() < deadline, "the service does not respond"
            time.sleep(0.05)
        else:
            return
