"""A registry for the tests: Debian's docker-registry, which anybody on this machine may read and write."""

from __future__ import annotations

import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.conftest import container

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine import Engine

# The package's own settings ask for a password.
DOCKERFILE = """
ARG BASE=scratch
FROM $BASE
RUN apt-get update && apt-get install --yes --no-install-recommends docker-registry && rm -rf /var/lib/apt/lists/*
COPY <<EOF /registry.yml
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: ":5000"}
EOF
VOLUME /var/lib/registry
CMD ["docker-registry", "serve", "/registry.yml"]
"""


@contextmanager
def registry(engine: Engine) -> Iterator[str]:
    """Run an empty registry on an engine, and give its host and port. Engines take loopback without TLS."""
    base = f"--build-arg=BASE={engine.base_image('3.14')}"
    image = engine.docker("build", "--quiet", base, "-", input=DOCKERFILE).stdout.strip()
    with container(engine, image, "--publish=127.0.0.1::5000") as name:
        address = engine.docker("port", name, "5000/tcp").stdout.strip()
        wait_for(f"http://{address}/v2/")
        yield address
    engine.docker("image", "rm", image, check=False)


def wait_for(url: str) -> None:
    """Wait until something answers there.

    Raises:
        OSError: nothing did within 30 seconds.

    """
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
