"""Attacks on the service that are not tests of the generated project. docs/security.md lists them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Image, attempts, container, wait_until
from tests.service.test_service_faults import (
    CHUNKED,
    MEMORY,
    OPTIONS,
    Service,
    default_service,
    image,
)

__all__ = ["default_service", "image"]

FUZZ = Path(__file__).with_name("fuzz.py").read_text("utf-8")
pytestmark = pytest.mark.attack


def choose_seed() -> int:
    """Return a random seed for `make attack`; otherwise a fixed one, so that a failure in CI can be reproduced."""
    return attempts(0, random.randrange(1 << 32))


@pytest.mark.parametrize("function", ["fuzz_settings", "fuzz_request_ids", "fuzz_problems"])
def test_random_input_is_accepted_or_rejected(image: Image, function: str) -> None:
    count, seed = attempts(1000, 50_000), choose_seed()
    result = image.run("python", "-", function, str(count), str(seed), input=FUZZ, check=False)
    assert (result.returncode, result.stdout) == (0, f"{count}\n"), result.stderr


ONE_BYTE_CHUNKS = b"1\r\nx\r\n" * 10_000


def send_until(stopped: threading.Event, service: Service) -> None:
    """Send a body in chunks of one byte as fast as the service reads it."""
    with service.connect() as client, suppress(OSError):
        client.sendall(CHUNKED)
        while not stopped.is_set():
            client.sendall(ONE_BYTE_CHUNKS)


@pytest.mark.serial
def test_chunks_of_one_byte_delay_neither_the_health_check_nor_the_shutdown(image: Image) -> None:
    stopped = threading.Event()
    with container(image.engine, image.tag, *OPTIONS, *MEMORY) as name, ThreadPoolExecutor(8) as pool:
        service = Service(image.engine, name)
        service.wait()
        attacks = [pool.submit(send_until, stopped, service) for _ in range(8)]
        try:
            wait_until(lambda: "http_requests_in_flight 9.0" in service.request("/metrics"))
            for _ in range(attempts(5, 50)):
                assert service.is_healthy()
            assert [attack for attack in attacks if attack.done()] == []
            service.docker("stop", "--timeout=30")
        finally:
            stopped.set()
        # 137 would mean that Docker had to kill it.
        assert service.state("State.ExitCode") == 0


def random_request(rng: random.Random) -> bytes:
    """Return a valid request with a few random changes."""
    body = rng.choice((b"", b"123456789", b'{"text": "x"}', rng.randbytes(100)))
    length, chunked = b"Content-Length: %d\r\n" % len(body), b"Transfer-Encoding: chunked\r\n"
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    path = rng.choice((b"/crc32c", b"/checksums", b"/healthz", b"/nowhere", b"*"))
    head, content = rng.choice(((length, body), (chunked, chunks)))
    start = b"POST " + path + b" HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/json\r\n"
    request = bytearray(start + head + b"\r\n" + content)
    for _ in range(rng.randrange(4)):
        place = rng.randrange(len(request))
        new = rng.choice((b"", rng.randbytes(1), b"\r\n", b"\0", b" ", b":", bytes(request[place : place + 20]) * 3))
        request[place : place + rng.randrange(3)] = new
    return bytes(request)


def test_random_requests_get_responses_without_a_traceback(default_service: Service) -> None:
    rng = random.Random(seed := choose_seed())
    print("seed", seed)
    statuses: Counter[int] = Counter()
    requests = [random_request(rng) for _ in range(attempts(500, 20_000))]

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(partial(default_service.exchange, port=default_service.port()), requests):
            statuses.update(found)
    print(statuses)
    assert set(statuses) <= {200, 400, 404, 405, 408, 413, 422}
    assert {200, 400, 422} <= set(statuses)
    default_service.wait()


UNUSUAL = [
    r'{"text": "\ud800"}',
    r'{"\ud800": 1}',
    r'{"text": {"\udfff": 1}}',
    r'"\ud800"',
    '{"text": NaN}',
    "\ufeff{}",
]


@pytest.mark.parametrize("body", UNUSUAL)
def test_unusual_json_is_rejected(default_service: Service, body: str) -> None:
    head = b"POST /checksums HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/json\r\n"
    request = head + b"Content-Length: %d\r\n\r\n" % len(body.encode()) + body.encode()
    assert default_service.exchange(request) == [422]
