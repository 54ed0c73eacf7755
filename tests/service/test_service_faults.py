"""Fault injection on the containerised service: graceful shutdown, restart, and correct results."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HARDENED, Bake, Build, Image, container, wait_until
from tests.service import clients
from tools.engine import Engine

pytestmark = pytest.mark.serial

DIGITS = b"123456789"
CHECKSUM = "e3069283"
HEAD = b"POST /crc32c HTTP/1.1\r\nHost: test\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
# Docker's own health check uses memory and logs requests.
MEMORY = ("--memory=256m", "--memory-swap=256m")
OPTIONS = (*HARDENED, "--no-healthcheck", "--publish=127.0.0.1::8000")


def send_request(port: int, path: str, body: bytes | Iterable[bytes] | None = None) -> str:
    """Get a path, or post a body, on a local port."""
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
        """Run a docker command on the container, whose name comes last, and return its output."""
        return self.engine.docker(*command, self.name, timeout=120).stdout.strip()

    def execute(self, script: str) -> str:
        """Run a shell script in the container."""
        return self.engine.docker("exec", self.name, "sh", "-euc", script).stdout

    def state(self, field: str) -> Any:
        """Return a field of `docker inspect`."""
        return json.loads(self.docker("inspect", "--format", f"{{{{json .{field}}}}}"))

    def log(self) -> list[dict[str, Any]]:
        """Return all logged events, and fail if there is a traceback."""
        text = self.engine.docker("logs", self.name).stderr
        assert "Traceback" not in text
        return [json.loads(line) for line in text.splitlines()]

    def port(self) -> int:
        """Return the published port, which changes with every start."""
        published = self.docker("port")
        if not published:
            raise ConnectionRefusedError(self.name)
        return int(published.splitlines()[0].rpartition(":")[2])

    def connect(self, port: int | None = None) -> socket.socket:
        """Open a connection; pass the port to many connections, because finding it takes longer than a request."""
        return socket.create_connection(("127.0.0.1", port or self.port()), timeout=60)

    def request(self, path: str, body: bytes | Iterable[bytes] | None = None) -> str:
        """Get a path, or post a body."""
        return send_request(self.port(), path, body)

    def checksum(self, body: bytes | Iterable[bytes]) -> str:
        """Return the service's checksum of a body."""
        checksum: str = json.loads(self.request("/crc32c", body))["crc32c"]
        return checksum

    def exchange(self, data: bytes, port: int | None = None) -> list[int]:
        """Send bytes on a connection of their own, and return the status of every response."""
        with self.connect(port) as client:
            with suppress(OSError):  # the service closed the connection early
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
            return statuses_of(read_until_closed(client))

    def is_listening(self) -> bool:
        """Return whether the service is listening, according to its log."""
        return any("Uvicorn running" in event["message"] for event in self.log())

    def is_healthy(self) -> bool:
        """Return whether the image's health check succeeds in the container."""
        check = ("exec", self.name, "python", "-P", "-m", "acme_sums.service.healthcheck")
        return self.engine.docker(*check, check=False).returncode == 0

    def wait(self) -> None:
        """Wait until the service is ready and returns a correct checksum."""
        wait_until(self.is_ready)
        assert self.checksum(DIGITS) == CHECKSUM

    def is_ready(self) -> bool:
        """Return whether the readiness probe succeeds."""
        try:
            return self.request("/readyz") == '{"status":"ok"}'
        except (OSError, HTTPException):
            return False


@pytest.fixture(scope="module")
def image(bake_once: Bake, build: Build) -> Image:
    return build(bake_once(project_slug="acme-sums", app="service", strategy="venv"))


@contextmanager
def running_service(image: Image, *options: str) -> Iterator[Service]:
    """Start a private service; on exit, check that it still works and has logged no traceback."""
    with container(image.engine, image.tag, *OPTIONS, *options) as name:
        service = Service(image.engine, name)
        service.wait()
        yield service
        service.wait()
        service.log()


@pytest.fixture(scope="module")
def service(image: Image) -> Iterator[Service]:
    """Start a service shared by several tests, with the manifests' memory limit and short timeouts."""
    settings = ("--env=ACME_SUMS_IDLE_SECONDS=6", "--env=ACME_SUMS_KEEP_ALIVE_SECONDS=3")
    with running_service(image, *MEMORY, *settings) as service:
        pid = service.state("State.Pid")
        yield service
        assert service.state("State.Pid") == pid, "the service was restarted"


@pytest.fixture(scope="module")
def default_service(image: Image) -> Iterator[Service]:
    """Start a service shared by several tests, with the manifests' memory limit and the default settings."""
    with running_service(image, *MEMORY) as service:
        pid = service.state("State.Pid")
        yield service
        assert service.state("State.Pid") == pid, "the service was restarted"


def read_until_closed(client: socket.socket) -> bytes:
    """Return all data until the service closes or resets the connection."""
    response = b""
    try:
        while chunk := client.recv(65536):
            response += chunk
    except ConnectionError:
        pass
    return response


def statuses_of(responses: bytes) -> list[int]:
    """Return the status of every response. All errors are problem documents, except that of a malformed request."""
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", responses)]
    errors = [status for status in statuses if status >= 400]
    plain = [400] * responses.count(b"content-type: text/plain")
    documents = [int(status) for status in re.findall(rb'"status":(\d+)', responses)]
    assert responses.count(b"content-type: application/problem+json") == len(documents)
    assert sorted(documents + plain) == sorted(errors)
    return statuses


@contextmanager
def network(engine: Engine) -> Iterator[str]:
    """Create a network for containers, and remove it at the end."""
    name = engine.docker("network", "create", f"test-{random.randrange(1 << 32):08x}").stdout.strip()
    try:
        yield name
    finally:
        engine.docker("network", "rm", name, check=False)


def network_options(net: str, name: str) -> tuple[str, str]:
    """Return the options that connect a container to a network under a name."""
    return f"--network={net}", f"--network-alias={name}"


@dataclass(frozen=True)
class Load:
    """A container of load-generating clients on the service's network.

    Through a published port, Docker's proxy would accept connections even if the service did not.
    """

    engine: Engine
    name: str

    def log(self) -> str:
        """Return the output of the clients."""
        return self.engine.docker("logs", self.name).stdout

    def stop(self) -> None:
        """Stop the clients after their current responses."""
        self.engine.docker("kill", "--signal=TERM", self.name)

    def outcome(self) -> Any:
        """Wait until all clients have stopped, and return their counts."""
        assert self.engine.docker("wait", self.name).stdout == "0\n", self.engine.docker("logs", self.name).stderr
        counted = self.log().splitlines()[-1]
        print(counted)  # for `pytest -rP`
        return json.loads(counted)


@contextmanager
def load(image: Image, net: str, *arguments: str) -> Iterator[Load]:
    """Start the clients, and wait until the service is under load."""
    command = ("python", "-c", Path(clients.__file__).read_text("utf-8"), *arguments)
    with container(image.engine, image.base, f"--network={net}", command=command) as name:
        running = Load(image.engine, name)
        wait_until(lambda: "busy" in running.log())
        yield running


def test_sigterm_under_load_loses_no_request(image: Image) -> None:
    drain = "--env=ACME_SUMS_DRAIN_SECONDS=1"
    with (
        network(image.engine) as net,
        container(image.engine, image.tag, *HARDENED, *network_options(net, "service"), drain) as name,
    ):
        service = Service(image.engine, name)
        wait_until(service.is_listening)
        # No init process runs in the container.
        assert "acme-sums\0serve" in service.execute("cat /proc/1/cmdline")
        with load(image, net, "service", "200", "4", "/readyz") as busy:
            service.docker("kill", "--signal=TERM")
            stopped_at = time.time()
            outcome = busy.outcome()
            assert service.docker("wait") == "0"
        service.log()
    assert outcome["last_200_on_path"] < stopped_at
    assert (outcome["lost"], outcome["refused"]) == ({}, {})
    assert outcome["responses"]["GET /readyz 503"] > 0
    assert outcome["responses"].keys() <= {"POST /crc32c 200", "GET /readyz 200", "GET /readyz 503"}


def test_sigterm_during_startup_is_not_ignored(image: Image) -> None:
    # Limit the CPU, so that startup takes seconds.
    with container(image.engine, image.tag, *OPTIONS, "--cpus=0.2") as name:
        service = Service(image.engine, name)
        wait_until(lambda: int(service.execute("grep SigCgt /proc/1/status").split()[1], 16) & 1 << signal.SIGTERM - 1)
        service.docker("kill", "--signal=TERM")
        assert service.docker("wait") == "0"
        assert service.log() == [], "the service had already started"


def test_request_exceeding_grace_period_does_not_delay_shutdown(image: Image) -> None:
    options = (*OPTIONS, "--env=ACME_SUMS_GRACE_SECONDS=1")
    with container(image.engine, image.tag, *options) as name:
        service = Service(image.engine, name)
        service.wait()
        with service.connect() as client:
            client.sendall(HEAD + b"Content-Length: 9\r\n\r\n12345")
            wait_until(lambda: "http_requests_in_flight 2.0" in service.request("/metrics"))
            service.docker("stop", "--timeout=10")
            assert statuses_of(read_until_closed(client)) in ([503], [])
        assert service.state("State.ExitCode") == 0
        assert service.log()


@pytest.mark.attack
@pytest.mark.parametrize("policy", ["unless-stopped", "on-failure"])
def test_killed_service_is_restarted(image: Image, policy: str) -> None:
    with running_service(image, f"--restart={policy}") as service:
        # Docker does not restart a container after `docker kill`, and the kernel does not let PID 1 kill itself.
        kill = f"kill -KILL {service.state('State.Pid')}"
        image.engine.docker("run", "--rm", "--pid=host", "--user=0", image.base, "sh", "-c", kill)
        wait_until(lambda: service.state("RestartCount") == 1)
        service.wait()


# Checksums of clients.BODY repeated N times. They were combined from the checksum of a single BODY: the checksum of
# a + b follows from those of a and b and the length of b.
BODY_SUMS = {100: "b389d33e", 200: "464be2ea", 1600: "47280b76", 32800: "f129ca9a"}


def bodies(count: int) -> Iterator[bytes]:
    """Generate a body in chunks that are never all in memory."""
    return (clients.BODY for _ in range(count))


def test_hundred_concurrent_uploads_fit_into_memory(service: Service) -> None:
    body = clients.BODY * 100
    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(service.checksum, [body] * 100)) == {BODY_SUMS[100]}


async def post(port: int, path: str, body: bytes) -> str:
    """Post a body, and return the status or the error. The response may arrive before the whole body is sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    sender = asyncio.create_task(send(writer, head.encode(), body))
    try:
        headers = await reader.readuntil(b"\r\n\r\n")
        if b" 503 " in headers:
            assert b"\r\nretry-after: 1\r\n" in headers
        return headers[9:12].decode()
    except (OSError, asyncio.IncompleteReadError) as error:
        return type(error).__name__
    finally:
        sender.cancel()
        writer.transport.abort()


async def send(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
    """Send a request in chunks, so that only a few are in memory at a time."""
    with suppress(OSError):
        writer.write(head)
        for start in range(0, len(body), 65536):
            writer.write(body[start : start + 65536])
            await writer.drain()


async def post_concurrently(port: int, path: str, body: bytes) -> Counter[str]:
    """Post a body with a thousand clients at once, and count the statuses."""
    return Counter(await asyncio.gather(*(post(port, path, body) for _ in range(1000))))


@pytest.mark.parametrize("path", ["/checksums", "/crc32c"])
@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_thousand_concurrent_uploads_get_responses(default_service: Service, path: str, size: int) -> None:
    body = json.dumps({"text": ""}).encode().replace(b'""', b'"%s"' % (b"x" * (size - 12)))
    statuses = asyncio.run(post_concurrently(default_service.port(), path, body))
    print(path, size, statuses, peak_memory(default_service))
    assert set(statuses) <= {"200", "503"}
    assert statuses["200"] >= 32  # as many as fit into body_memory_bytes
    assert default_service.checksum(DIGITS) == CHECKSUM


@pytest.mark.attack
def test_thousand_oversized_bodies_are_rejected(default_service: Service) -> None:
    statuses = asyncio.run(post_concurrently(default_service.port(), "/checksums", bytes(20_000_000)))
    print(statuses, peak_memory(default_service))
    assert statuses == {"413": 1000}
    assert default_service.checksum(DIGITS) == CHECKSUM


def test_service_without_enough_memory_is_restarted(image: Image) -> None:
    limits = ("--env=ACME_SUMS_MAX_BODY_BYTES=1GiB", "--env=ACME_SUMS_BODY_MEMORY_BYTES=1GiB")
    with running_service(image, "--restart=on-failure", "--memory=64m", "--memory-swap=64m", *limits) as service:
        with pytest.raises((OSError, HTTPException)):
            service.request("/checksums", bytes(100_000_000))
        wait_until(lambda: service.state("RestartCount") > 0)
        service.wait()


FAKETIME = """
FROM {service}
USER 0
RUN apt-get update && apt-get install --yes --no-install-recommends libfaketime \
    && ln -s /usr/lib/*/faketime/libfaketime.so.1 /usr/lib/libfaketime.so
USER 10001:10001
# Read the system time from the file at each call. The monotonic clock is not faked, because it never jumps.
ENV LD_PRELOAD=/usr/lib/libfaketime.so FAKETIME_TIMESTAMP_FILE=/clock/now FAKETIME_NO_CACHE=1 \
    FAKETIME_DONT_FAKE_MONOTONIC=1
"""


def test_clock_jumps_do_not_affect_requests(image: Image) -> None:
    tag = f"{image.tag}-faketime"
    image.engine.docker("build", "--tag", tag, "-", input=FAKETIME.format(service=image.tag))
    skewed = replace(image, tag=tag)
    # Longer than the uploads take on any machine, and shorter than each jump.
    settings = ("--env=ACME_SUMS_IDLE_SECONDS=600", "--env=ACME_SUMS_KEEP_ALIVE_SECONDS=600")
    with running_service(skewed, "--tmpfs=/clock:uid=12345", *settings) as service:
        with ThreadPoolExecutor(4) as pool, service.connect() as idle, service.connect() as slow:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
            slow.sendall(HEAD + b"Connection: close\r\nContent-Length: 9\r\n\r\n12345")
            for offset in ("+3d", "-3d", "+400d", "-2d", "+0"):
                sums = [pool.submit(service.checksum, bodies(200)) for _ in range(4)]
                # Replace the file atomically, because libfaketime ends the process if the file is empty.
                service.execute(f"echo {offset} > /clock/new; mv /clock/new /clock/now")
                assert {future.result() for future in sums} == {BODY_SUMS[200]}
            # No timeout has expired.
            slow.sendall(b"6789")
            assert CHECKSUM.encode() in read_until_closed(slow)
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            assert statuses_of(read_until_closed(idle)) == [200, 200]
        events = service.log()
        sums_of_seconds = re.findall(r"_seconds_sum\{.*\} (\S+)", service.request("/metrics"))
    days = {event["time"][:10] for event in events}
    assert len(days) >= 4, "the clock did not jump"
    # Each jump is longer than a day.
    assert all(0 <= event["seconds"] < 86_400 for event in events if "seconds" in event)
    assert all(0 <= float(seconds) < 86_400 for seconds in sums_of_seconds)


def trickle(service: Service, request: bytes, rest: bytes) -> bytes:
    """Send part of a request at once, then one byte per second, and return the response."""
    with service.connect() as client:
        client.sendall(request)
        with suppress(ConnectionError):
            for byte in rest:
                time.sleep(1)
                client.sendall(bytes([byte]))
        return read_until_closed(client)


@pytest.mark.attack
def test_slow_clients_do_not_block_others(service: Service) -> None:
    body = HEAD + b"Connection: close\r\nContent-Length: 9\r\n\r\n1234"
    with ThreadPoolExecutor(20) as pool:
        slow_bodies = [pool.submit(trickle, service, body, b"56789") for _ in range(10)]
        slow_heads = [pool.submit(trickle, service, b"POST /crc32c HT", b"TP/1.1\r\n") for _ in range(10)]
        wait_until(lambda: "http_requests_in_flight 11.0" in service.request("/metrics"))
        count, port = 0, service.port()
        while not slow_bodies[0].done():
            assert json.loads(send_request(port, "/crc32c", DIGITS))["crc32c"] == CHECKSUM
            count += 1
        assert count > 50
        assert all(CHECKSUM.encode() in future.result() for future in slow_bodies)
        # Complete request headers must arrive within KEEP_ALIVE_SECONDS.
        assert {future.result() for future in slow_heads} == {b""}


def test_incomplete_request_gets_a_408_response(service: Service) -> None:
    requests = [HEAD + b"Content-Length: 9\r\n\r\n12345", CHUNKED + b"9\r\n12345", HEAD]
    with ThreadPoolExecutor() as pool:
        responses = pool.map(lambda request: trickle(service, request, b""), requests)
        assert [statuses_of(response) for response in responses] == [[408], [408], []]


LENGTH = HEAD + b"Content-Length: 9\r\n"
MALFORMED: dict[str, tuple[bytes, list[list[int]]]] = {
    "a body that is too short": (LENGTH + b"\r\n1234", [[], [400]]),
    "a body that is too long": (LENGTH + b"\r\n123456789, and then some\r\n\r\n", [[200], [200, 400], [400]]),
    "100,000 headers": (HEAD + b"x: y\r\n" * 100_000 + b"\r\n", [[400], []]),
    "a header without an end": (HEAD + b"x: " + b"y" * 1_000_000, [[400], []]),
    "a chunk without a size": (CHUNKED + b"nine\r\n123456789\r\n0\r\n\r\n", [[400]]),
    "a negative chunk": (CHUNKED + b"-9\r\n123456789\r\n0\r\n\r\n", [[400]]),
    "a chunk longer than its size": (CHUNKED + b"8\r\n123456789\r\n0\r\n\r\n", [[400]]),
    "a chunk of 2 ** 80 bytes": (CHUNKED + b"1" + b"0" * 20 + b"\r\n123456789\r\n0\r\n\r\n", [[400]]),
    "a chunk size without an end": (CHUNKED + b"9;" + b"x" * 1_000_000, [[400], []]),
    "random bytes": (random.Random(1).randbytes(100_000) + b"\r\n\r\n", [[400], []]),
    "zeros": (bytes(1_000_000), [[400], []]),
    "a TLS handshake": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", [[400]]),
    "an HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [[400]]),
    "a length and chunks": (LENGTH + b"Transfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n0\r\n\r\n", [[400]]),
    "chunks and a length": (CHUNKED[:-2] + b"Content-Length: 4\r\n\r\n4\r\n1234\r\n0\r\n\r\n", [[400]]),
    "two lengths": (LENGTH + b"Content-Length: 8\r\n\r\n123456789", [[400]]),
    "two lengths in one": (HEAD + b"Content-Length: 9, 8\r\n\r\n123456789", [[400]]),
    "a signed length": (HEAD + b"Content-Length: +9\r\n\r\n123456789", [[400]]),
    "two encodings": (CHUNKED[:-2] + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", [[400]]),
    "an unknown encoding": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", [[400]]),
    "a space before the colon": (HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", [[400]]),
    "chunks in HTTP/1.0": (CHUNKED.replace(b"1.1", b"1.0") + b"4\r\n1234\r\n0\r\n\r\n", [[400]]),
    "a carriage return in a header": (HEAD + b"x: y\rContent-Length: 9\r\n\r\n123456789", [[400]]),
    "a null byte in a header": (HEAD + b"x: \0\r\n\r\n", [[400]]),
}


@pytest.mark.attack
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_request_is_rejected(service: Service, name: str) -> None:
    request, outcomes = MALFORMED[name]
    assert service.exchange(request) in outcomes
    assert service.checksum(DIGITS) == CHECKSUM
    service.log()


def peak_memory(service: Service) -> int:
    """Return the peak memory usage of the container in bytes, with cgroups v2 or v1."""
    files = "/sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes"
    return int(service.execute(f"for file in {files}; do test ! -e $file || cat $file; done"))


def test_two_gigabyte_body_does_not_increase_memory(image: Image) -> None:
    with running_service(image, "--memory=128m", "--memory-swap=128m") as service:
        assert service.checksum(bodies(1600)) == BODY_SUMS[1600]
        before = peak_memory(service)
        assert service.checksum(bodies(32800)) == BODY_SUMS[32800]
        after = peak_memory(service)
        print(f"peak after 100 MB: {before}, after 2 GB: {after}")
        assert after < before + 8_000_000
        assert not service.state("State.OOMKilled")
