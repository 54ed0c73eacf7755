"""The service in a hardened container of every strategy, with and without a shell."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import (
    CHECKSUM,
    DIGITS,
    HARDENED,
    QUESTIONS,
    STRATEGIES,
    Bake,
    Build,
    container,
    wait_until,
    weekly_after,
)
from tools.engine import Engine

# Every strategy, and the last two of them also with the other runtime.
SLIM, MINIMAL = QUESTIONS["runtime"]
COMBINATIONS = [(name, SLIM) for name in STRATEGIES] + [(name, MINIMAL) for name in reversed(STRATEGIES)]


@pytest.fixture(scope="module", params=weekly_after(len(STRATEGIES) + 2, COMBINATIONS), ids="-".join)
def service(request: pytest.FixtureRequest, bake_once: Bake, build: Build) -> Iterator[tuple[Engine, str]]:
    """Start a hardened service with 256 MB of memory; at the end, check that SIGTERM stops it without an error."""
    strategy, runtime = request.param
    image = build(bake_once(project_slug="acme-sums", strategy=strategy, app="service", runtime=runtime))
    options = (*HARDENED, "--memory=256m", "--memory-swap=256m", "--publish=127.0.0.1::8000")
    with container(image.engine, image.tag, *options) as name:
        yield image.engine, name
        # Not in a test, which would have to be the last one.
        image.engine.docker("stop", "--timeout=10", name)
        state = json.loads(image.engine.docker("inspect", "--format", "{{json .State}}", name).stdout)
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False)


def url(service: tuple[Engine, str], path: str) -> str:
    engine, name = service
    return f"http://{engine.docker('port', name, '8000/tcp').stdout.splitlines()[0]}{path}"


def fetch_json(request: str | urllib.request.Request) -> Any:
    """Send a request to a service that may still be starting, and return the response."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except (ConnectionError, urllib.error.URLError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_service_responds(service: tuple[Engine, str]) -> None:
    assert fetch_json(url(service, "/healthz")) == {"status": "ok"}
    request = urllib.request.Request(url(service, "/crc32c"), data=DIGITS.encode())
    assert fetch_json(request) == {"crc32c": CHECKSUM, "bytes": 9}


def test_body_larger_than_memory_is_processed(service: tuple[Engine, str]) -> None:
    fetch_json(url(service, "/healthz"))
    chunk, count = bytes(1_000_000), 300
    request = urllib.request.Request(url(service, "/crc32c"), data=(chunk for _ in range(count)), method="POST")
    assert fetch_json(request) == {"crc32c": "4500aed2", "bytes": count * len(chunk)}


def test_health_check_becomes_healthy(service: tuple[Engine, str]) -> None:
    engine, name = service
    status = ("inspect", "--format", "{{.State.Health.Status}}", name)
    wait_until(lambda: engine.docker(*status).stdout == "healthy\n", "the service is not healthy")
