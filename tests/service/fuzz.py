"""Random input for the parts of the skeleton that parse text: `python - FUNCTION COUNT SEED`.

Runs in a container of the service, so it needs only the package and its dependencies. It fails with a traceback if a
result is wrong, and then prints the input.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import random
import re
import sys
from ipaddress import ip_network
from typing import Any

from acme_sums.service import ServiceSettings, logs, problem, settings
from acme_sums.service.middleware import RequestTelemetry

NUMBERS = ("0", "1", "-1", "1.5", "1e3", "1e999", "nan", "inf", "0x10", "1_000", " 7 ", "\u0661\u0662", "9" * 40, "")
UNITS = ("", "B", "kB", "KB", "MiB", "GiB", "TB", "PB", "EiB", "bits", "x", " MB", "m")
ADDRESSES = ("10.0.0.1", "10.0.0.0/8", "10.0.0.1/8", "::1", "fe80::/10", "*", "1.2.3", "10.0.0.0/33", "host", "0/0")
WORDS = ("true", "false", "yes", "no", "[]", "{}", "null", '"', "tcp://10.0.0.1:80", "/api", "/a b", "debug", "INFO")
CHARACTERS = "aZ0 ,;:/.-_~%$#'\"\\\t\n\r\x00\x1b\x7f\x80\xff\u2028\u20ac\ud800\U0001f40d"


def random_text(rng: random.Random) -> str:
    """Return random characters, or a typical value with a random change."""
    chosen = rng.choice(
        [
            rng.choice(NUMBERS) + rng.choice(UNITS),
            ",".join(rng.choices(ADDRESSES, k=rng.randrange(1, 4))),
            rng.choice(WORDS),
            "".join(rng.choices(CHARACTERS, k=rng.randrange(20))),
        ]
    )
    place = rng.randrange(len(chosen) + 1)
    return chosen[:place] + rng.choice(("", "", "", rng.choice(CHARACTERS))) + chosen[place:]


def fuzz_settings(rng: random.Random) -> None:
    """Check that settings are either valid, or rejected without their value."""
    names = rng.sample(sorted(ServiceSettings.model_fields), 3)
    # Variables cannot contain null bytes, and the operating system passes bytes.
    values = {name: random_text(rng).replace("\0", "").encode("utf-8", "replace") for name in names}
    secret = b"s3cret-" + str(rng.randrange(10**9)).encode()
    values[rng.choice(names)] += rng.choice((b"", secret))
    variables = {f"ACME_SUMS_{name.upper()}".encode(): value for name, value in values.items()}
    os.environb.update(variables)
    try:
        loaded = load_settings(secret.decode())
    finally:
        for name in variables:
            del os.environb[name]
    if loaded:
        assert 0 <= loaded.port < 1 << 16
        assert loaded.max_body_bytes >= 0
        assert loaded.idle_seconds > 0
        assert loaded.log_level in ("debug", "info", "warning", "error")
        for each in filter(None, loaded.trusted_proxies.split(",")):
            ip_network(each)


def load_settings(secret: str) -> ServiceSettings | None:
    """Return the settings, or None if they are rejected with one line for each, without the secret."""
    try:
        return settings.load(ServiceSettings)
    except settings.SettingsError as error:
        message = str(error)
    assert all(re.match("ACME_SUMS_[A-Z_]+: .", line) for line in message.splitlines()), message
    assert secret not in message, message
    return None


class Ready:
    """A service that is ready."""

    is_ready = True


async def respond(_scope: Any, _receive: Any, send: Any) -> None:
    """Send an empty response."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def fuzz_request_ids(rng: random.Random) -> None:
    """Check that a request ID is returned and logged if it is visible ASCII text; otherwise, it is replaced."""
    size = rng.choice((0, 1, 20, 127, 128, 129, 5000))
    visible = "".join(chr(rng.randrange(0x21, 0x7F)) for _ in range(size)).encode()
    given = rng.choice((visible, rng.randbytes(size), visible[:50] + rng.choice((b" ", b"\r\n", b"\0", b"\xff"))))
    is_valid = bool(re.fullmatch(rb"[!-~]{1,128}", given))
    path = rng.randbytes(rng.choice((1, 20, 5000)))
    scope: dict[str, Any] = {
        "type": "http",
        "method": rng.choice(("GET", random_text(rng))),
        "path": "/",
        "raw_path": path,
    }
    clients: list[Any] = [None, ("10.0.0.1", 1)]
    scope |= {"headers": [(b"x-request-id", given)], "client": rng.choice(clients)}
    sent: list[Any] = []
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JSONFormatter())
    logging.basicConfig(level="INFO", handlers=[handler], force=True)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(RequestTelemetry(respond, Ready())(scope, None, send))
    (returned,) = (value for name, value in sent[0]["headers"] if name == b"x-request-id")
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert event["request_id"] == returned.decode()
    assert re.fullmatch(rb"[0-9a-f]{32}", returned) or is_valid
    assert (returned == given) == is_valid
    assert len(event["path"]) <= 500


def random_value(rng: random.Random, depth: int = 3) -> Any:
    """Return a value that a route could use as the detail of an error."""
    if depth and rng.random() < 0.4:
        parts = [random_value(rng, depth - 1) for _ in range(rng.randrange(3))]
        return rng.choice((parts, tuple(parts), {random_text(rng): part for part in parts}))
    return rng.choice((random_text(rng), rng.randbytes(4), rng.random(), None, True, 1 << 80, object()))


def fuzz_problems(rng: random.Random) -> None:
    """Check that an error with any detail is a JSON object."""
    status, detail = rng.randrange(400, 600), random_text(rng)
    response = problem(status, detail, {}, errors=random_value(rng))
    document = json.loads(bytes(response.body))
    assert (document["status"], document["detail"]) == (status, detail)
    assert response.headers["content-type"] == "application/problem+json"


def main(name: str, count: str, seed: str) -> None:
    """Call a function with random numbers, and print how often."""
    for number in range(int(count)):
        try:
            globals()[name](random.Random(f"{seed}-{number}"))
        except BaseException:
            print(f"failed with number {number} and seed {seed}", file=sys.stderr)
            raise
    print(count)


if __name__ == "__main__":
    main(*sys.argv[1:])
