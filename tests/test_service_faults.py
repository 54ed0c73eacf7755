"""The service in its image, under faults: it ends in order, it comes back, and it stays right."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests import clients
from tests.conftest import HARDENED, Bake, Build, Image, container
from tests.engine import Engine

pytestmark = pytest.mark.alone

DIGITS = b"123456789"
CHECKSUM = "e3069283"
HEAD = b"POST /crc32c HTTP/1.1\r\nHost: test\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GRACE_SECONDS = 20  # the service's default
# Docker's own health check takes memory and logs requests.
OPTIONS = (*HARDENED, "--no-healthcheck", "--publish=127.0.0.1::8000")


def ask(port: int, path: str, body: bytes | Iterable[bytes] | None = None) -> str:
    """Get a path, or post a body, on a port of this machine."""
    method = "GET" if body is None else "POST"
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, method=method)
    with urllib.request.urlopen(request, timeout=120) as response:
        text: str = response.read().decode()
        return text


@dataclass(frozen=True)
class Service:
    """A running container."""

    engine: Engine
    name: str

    def docker(self, *command: str) -> str:
        """Run a docker command on the container, whose name comes last, and return what it prints."""
        return self.engine.docker(*command, self.name, timeout=120).stdout.strip()

    def execute(self, script: str) -> str:
        """Run a shell script inside."""
        return self.engine.docker("exec", self.name, "sh", "-euc", script).stdout

    def state(self, field: str) -> Any:
        """Return a field of what docker tells of the container."""
        return json.loads(self.docker("inspect", "--format", f"{{{{json .{field}}}}}"))

    def log(self) -> list[dict[str, Any]]:
        """Return every event that was logged, and fail when one has a traceback."""
        text = self.engine.docker("logs", self.name).stderr
        assert "Traceback" not in text
        return [json.loads(line) for line in text.splitlines()]

    def port(self) -> int:
        """Return the port on this machine: another one after every start, and none in between."""
        published = self.docker("port")
        if not published:
            raise ConnectionRefusedError(self.name)
        return int(published.splitlines()[0].rpartition(":")[2])

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port()), timeout=60)

    def ask(self, path: str, body: bytes | Iterable[bytes] | None = None) -> str:
        """Get a path, or post a body."""
        return ask(self.port(), path, body)

    def sum(self, body: bytes | Iterable[bytes]) -> str:
        """Return the checksum that the service gives a body."""
        checksum: str = json.loads(self.ask("/crc32c", body))["crc32c"]
        return checksum

    def listens(self) -> bool:
        """Tell whether it has started, whether or not a port is published."""
        return any("Uvicorn running" in event["message"] for event in self.log())

    def is_healthy(self) -> bool:
        """Tell whether it answers, asked from inside as the image's health check does."""
        check = ("exec", self.name, "python", "-P", "-m", "acme_sums.service.healthcheck")
        return self.engine.docker(*check, check=False).returncode == 0

    def wait(self) -> None:
        """Wait until the service is ready, and see that it is right."""
        until(self.is_ready)
        assert self.sum(DIGITS) == CHECKSUM

    def is_ready(self) -> bool:
        """Tell whether requests should be sent."""
        try:
            return self.ask("/readyz") == '{"status":"ok"}'
        except (OSError, HTTPException):
            return False


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def image(bake_once: Bake, build: Build) -> Image:
    return build(bake_once(project_slug="acme-sums", app="service", strategy="venv"))


@contextmanager
def started(image: Image, *options: str) -> Iterator[Service]:
    """Start a service of one's own; at the end it is right, and its log has no traceback."""
    with container(image.engine, image.tag, *OPTIONS, *options) as name:
        service = Service(image.engine, name)
        service.wait()
        yield service
        service.wait()
        service.log()


@pytest.fixture(scope="module")
def service(image: Image) -> Iterator[Service]:
    """Start a service that tests share, with 128 MB of memory, and little patience with its clients."""
    settings = ("--env=ACME_SUMS_IDLE_SECONDS=3", "--env=ACME_SUMS_KEEP_ALIVE_SECONDS=3")
    with started(image, "--memory=128m", "--memory-swap=128m", *settings) as service:
        pid = service.state("State.Pid")
        yield service
        assert service.state("State.Pid") == pid, "it was restarted"


def received(client: socket.socket) -> bytes:
    """Return all that comes until the service closes the connection, or resets it with data still on its way in."""
    answer = b""
    try:
        while piece := client.recv(65536):
            answer += piece
    except ConnectionError:
        pass
    return answer


def statuses_of(answers: bytes) -> list[int]:
    """Return the status of every response. All errors are problem documents, except that of a malformed request."""
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]
    errors = [status for status in statuses if status >= 400]
    plain = [400] * answers.count(b"content-type: text/plain")
    documents = [int(status) for status in re.findall(rb'"status":(\d+)', answers)]
    assert answers.count(b"content-type: application/problem+json") == len(documents)
    assert sorted(documents + plain) == sorted(errors)
    return statuses


@contextmanager
def network(engine: Engine) -> Iterator[str]:
    """Make a network of containers, and remove it at the end."""
    name = engine.docker("network", "create", f"test-{random.randrange(1 << 32):08x}").stdout.strip()
    try:
        yield name
    finally:
        engine.docker("network", "rm", name, check=False)


def reachable(net: str, name: str) -> tuple[str, str]:
    """Return the options that put a container into a network under a name."""
    return f"--network={net}", f"--network-alias={name}"


@dataclass(frozen=True)
class Load:
    """A container full of clients. Before a published port, the engine's proxy would accept in the service's stead."""

    engine: Engine
    name: str

    def log(self) -> str:
        """Return what they print."""
        return self.engine.docker("logs", self.name).stdout

    def stop(self) -> None:
        """Let the clients end after the answer that they wait for."""
        self.engine.docker("kill", "--signal=TERM", self.name)

    def outcome(self) -> Any:
        """Wait until all clients have ended, and return what they counted."""
        assert self.engine.docker("wait", self.name).stdout == "0\n", self.engine.docker("logs", self.name).stderr
        counted = self.log().splitlines()[-1]
        print(counted)  # for `pytest -rP`
        return json.loads(counted)


@contextmanager
def load(image: Image, net: str, *arguments: str) -> Iterator[Load]:
    """Let clients loose, and wait until each has had some answers."""
    command = ("python", "-c", Path(clients.__file__).read_text("utf-8"), *arguments)
    with container(image.engine, image.base, f"--network={net}", command=command) as name:
        running = Load(image.engine, name)
        until(lambda: "busy" in running.log())
        yield running


def test_sigterm_under_load_loses_no_request(image: Image) -> None:
    drain = "--env=ACME_SUMS_DRAIN_SECONDS=1"
    with (
        network(image.engine) as net,
        container(image.engine, image.tag, *HARDENED, *reachable(net, "service"), drain) as name,
    ):
        service = Service(image.engine, name)
        until(service.listens)
        # No init process runs in the container.
        assert "acme-sums\0serve" in service.execute("cat /proc/1/cmdline")
        with load(image, net, "service", "200", "4", "/readyz") as busy:
            began = time.monotonic()
            service.docker("kill", "--signal=TERM")
            told = time.time()
            outcome = busy.outcome()
            assert service.docker("wait") == "0"
            assert time.monotonic() - began < GRACE_SECONDS
        service.log()
    assert outcome["last_200_on_path"] < told
    assert (outcome["lost"], outcome["refused"]) == ({}, {})
    assert outcome["answers"]["GET /readyz 503"] > 0
    assert outcome["answers"].keys() <= {"POST /crc32c 200", "GET /readyz 200", "GET /readyz 503"}


def test_sigterm_during_the_start_is_not_ignored(image: Image) -> None:
    # So little of a processor that the start takes seconds.
    with container(image.engine, image.tag, *OPTIONS, "--cpus=0.2") as name:
        service = Service(image.engine, name)
        until(lambda: int(service.execute("grep SigCgt /proc/1/status").split()[1], 16) & 1 << signal.SIGTERM - 1)
        service.docker("kill", "--signal=TERM")
        assert service.docker("wait") == "0"
        assert service.log() == [], "it had started"


def test_a_request_longer_than_the_grace_time_does_not_hold_the_end_up(image: Image) -> None:
    options = (*OPTIONS, "--env=ACME_SUMS_GRACE_SECONDS=1")
    with container(image.engine, image.tag, *options) as name:
        service = Service(image.engine, name)
        service.wait()
        with service.connect() as client:
            client.sendall(HEAD + b"Content-Length: 9\r\n\r\n12345")
            until(lambda: "http_requests_in_flight 2.0" in service.ask("/metrics"))
            service.docker("stop", "--timeout=10")
            assert statuses_of(received(client)) in ([503], [])
        assert service.state("State.ExitCode") == 0
        assert service.log()


@pytest.mark.parametrize("policy", ["unless-stopped", "on-failure"])
def test_a_killed_service_comes_back(image: Image, policy: str) -> None:
    with started(image, f"--restart={policy}") as service:
        # `docker kill` counts as the operator's wish, and the kernel keeps process 1 from killing itself.
        kill = f"kill -KILL {service.state('State.Pid')}"
        image.engine.docker("run", "--rm", "--pid=host", "--user=0", image.base, "sh", "-c", kill)
        until(lambda: service.state("RestartCount") == 1)
        service.wait()


# Sums of repeated clients.BODY, put together from the definition's sum of one: sum(a + b) follows from both
# and b's size.
BODY_SUMS = {100: "b389d33e", 200: "464be2ea", 1600: "47280b76", 32800: "f129ca9a"}


def bodies(count: int) -> Iterator[bytes]:
    """Give a body in pieces, which are never all in memory."""
    return (clients.BODY for _ in range(count))


def test_a_hundred_uploads_at_once_fit_into_the_memory(service: Service) -> None:
    body = clients.BODY * 100
    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(service.sum, [body] * 100)) == {BODY_SUMS[100]}


@pytest.mark.slow
def test_a_service_without_enough_memory_is_restarted(image: Image) -> None:
    with started(image, "--restart=on-failure", "--memory=64m", "--memory-swap=64m") as service:

        def upload(_number: int) -> None:
            with suppress(OSError, HTTPException):
                service.sum(clients.BODY * 100)

        with ThreadPoolExecutor(200) as pool:
            list(pool.map(upload, range(400)))
        until(lambda: service.state("RestartCount") > 0)
        service.wait()


FAKETIME = """
FROM {service}
USER 0
RUN apt-get update && apt-get install --yes --no-install-recommends libfaketime \
    && ln -s /usr/lib/*/faketime/libfaketime.so.1 /usr/lib/libfaketime.so
USER 10001:10001
# The clock is what the file says, whenever it is asked; the monotonic one never jumps on any machine.
ENV LD_PRELOAD=/usr/lib/libfaketime.so FAKETIME_TIMESTAMP_FILE=/clock/now FAKETIME_NO_CACHE=1 \
    FAKETIME_DONT_FAKE_MONOTONIC=1
"""


@pytest.mark.slow
def test_a_clock_that_jumps_by_days_changes_nothing(image: Image) -> None:
    tag = f"{image.tag}-faketime"
    image.engine.docker("build", "--tag", tag, "-", input=FAKETIME.format(service=image.tag))
    skewed = replace(image, tag=tag)
    settings = ("--env=ACME_SUMS_IDLE_SECONDS=30", "--env=ACME_SUMS_KEEP_ALIVE_SECONDS=30")
    with started(skewed, "--tmpfs=/clock:uid=12345", *settings) as service:
        with ThreadPoolExecutor(4) as pool, service.connect() as idle, service.connect() as slow:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
            slow.sendall(HEAD + b"Connection: close\r\nContent-Length: 9\r\n\r\n12345")
            for offset in ("+3d", "-3d", "+400d", "-2d", "+0"):
                sums = [pool.submit(service.sum, bodies(200)) for _ in range(4)]
                # At once: an empty file would end the process.
                service.execute(f"echo {offset} > /clock/new; mv /clock/new /clock/now")
                assert {future.result() for future in sums} == {BODY_SUMS[200]}
            # Nobody's patience has ended.
            slow.sendall(b"6789")
            assert CHECKSUM.encode() in received(slow)
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            assert statuses_of(received(idle)) == [200, 200]
        events = service.log()
        sums_of_seconds = re.findall(r"_seconds_sum\{.*\} (\S+)", service.ask("/metrics"))
    days = {event["time"][:10] for event in events}
    assert len(days) >= 4, "the clock did not jump"
    assert all(0 <= event["seconds"] < 30 for event in events if "seconds" in event)
    assert all(0 <= float(seconds) < 300 for seconds in sums_of_seconds)


def trickle(service: Service, request: bytes, pieces: bytes) -> bytes:
    """Send a part of a request at once, then a byte a second, and return what comes back."""
    with service.connect() as client:
        client.sendall(request)
        with suppress(ConnectionError):
            for byte in pieces:
                time.sleep(1)
                client.sendall(bytes([byte]))
        return received(client)


def test_slow_clients_hold_nobody_up(service: Service) -> None:
    body = HEAD + b"Connection: close\r\nContent-Length: 9\r\n\r\n1234"
    with ThreadPoolExecutor(20) as pool:
        slow_bodies = [pool.submit(trickle, service, body, b"56789") for _ in range(10)]
        slow_heads = [pool.submit(trickle, service, b"POST /crc32c HT", b"TP/1.1\r\n") for _ in range(10)]
        until(lambda: "http_requests_in_flight 11.0" in service.ask("/metrics"))
        asked, port = 0, service.port()
        while not slow_bodies[0].done():
            assert json.loads(ask(port, "/crc32c", DIGITS))["crc32c"] == CHECKSUM
            asked += 1
        assert asked > 50
        assert all(CHECKSUM.encode() in future.result() for future in slow_bodies)
        # A head has to come as a whole within the time of KEEP_ALIVE_SECONDS.
        assert {future.result() for future in slow_heads} == {b""}


def test_a_client_that_stops_in_the_middle_is_told(service: Service) -> None:
    requests = [HEAD + b"Content-Length: 9\r\n\r\n12345", CHUNKED + b"9\r\n12345", HEAD]
    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda request: trickle(service, request, b""), requests)
        assert [statuses_of(answer) for answer in answers] == [[408], [408], []]


LENGTH = HEAD + b"Content-Length: 9\r\n"
HOSTILE: dict[str, tuple[bytes, list[list[int]]]] = {
    "a body that is too short": (LENGTH + b"\r\n1234", [[], [400]]),
    "a body that is too long": (LENGTH + b"\r\n123456789, and then some\r\n\r\n", [[200, 400], [400]]),
    "100,000 headers": (HEAD + b"x: y\r\n" * 100_000 + b"\r\n", [[400], []]),
    "a header without an end": (HEAD + b"x: " + b"y" * 1_000_000, [[400], []]),
    "a chunk without a size": (CHUNKED + b"nine\r\n123456789\r\n0\r\n\r\n", [[400]]),
    "a negative chunk": (CHUNKED + b"-9\r\n123456789\r\n0\r\n\r\n", [[400]]),
    "a chunk longer than its size": (CHUNKED + b"8\r\n123456789\r\n0\r\n\r\n", [[400]]),
    "a chunk of 2 ** 80 bytes": (CHUNKED + b"1" + b"0" * 20 + b"\r\n123456789\r\n0\r\n\r\n", [[400]]),
    "a chunk size without an end": (CHUNKED + b"9;" + b"x" * 1_000_000, [[400], []]),
    "random bytes": (random.Random(1).randbytes(100_000) + b"\r\n\r\n", [[400], []]),
    "zeros": (bytes(1_000_000), [[400], []]),
    "a TLS greeting": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", [[400]]),
    "an HTTP/2 greeting": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [[400]]),
    "a length and chunks": (LENGTH + b"Transfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n0\r\n\r\n", [[400]]),
    "chunks and a length": (CHUNKED[:-2] + b"Content-Length: 4\r\n\r\n4\r\n1234\r\n0\r\n\r\n", [[400]]),
    "two lengths": (LENGTH + b"Content-Length: 8\r\n\r\n123456789", [[400]]),
    "two lengths in one": (HEAD + b"Content-Length: 9, 8\r\n\r\n123456789", [[400]]),
    "a signed length": (HEAD + b"Content-Length: +9\r\n\r\n123456789", [[400]]),
    "two encodings": (CHUNKED[:-2] + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", [[400]]),
    "an unknown encoding": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", [[400]]),
    "a blank before the colon": (HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", [[400]]),
    "chunks in HTTP/1.0": (CHUNKED.replace(b"1.1", b"1.0") + b"4\r\n1234\r\n0\r\n\r\n", [[400]]),
    "a return in a header": (HEAD + b"x: y\rContent-Length: 9\r\n\r\n123456789", [[400]]),
    "a zero in a header": (HEAD + b"x: \0\r\n\r\n", [[400]]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_proper_request_is_refused(service: Service, name: str) -> None:
    request, outcomes = HOSTILE[name]
    with service.connect() as client:
        with suppress(OSError):  # closed before all was sent
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
        assert statuses_of(received(client)) in outcomes
    assert service.sum(DIGITS) == CHECKSUM
    service.log()


def peak(service: Service) -> int:
    """Return the most bytes that the container has ever held, in cgroups of version 2 or 1."""
    files = "/sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes"
    return int(service.execute(f"for file in {files}; do test ! -e $file || cat $file; done"))


@pytest.mark.slow
def test_two_gigabytes_take_no_more_memory_than_a_hundred_megabytes(image: Image) -> None:
    with started(image, "--memory=128m", "--memory-swap=128m") as service:
        assert service.sum(bodies(1600)) == BODY_SUMS[1600]
        before = peak(service)
        assert service.sum(bodies(32800)) == BODY_SUMS[32800]
        after = peak(service)
        print(f"peak after 100 MB: {before}, after 2 GB: {after}")
        assert after < before + 8_000_000
        assert not service.state("State.OOMKilled")
