"""Measure how long `docker compose watch` takes to apply a change in Python or C code to a running service.

Arguments are answers, such as `strategy=platter`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tools.demo import PYTHON, SLUG, generate
from tools.engine import DockerError, Engine, EngineUnavailable, running_engine

ROUNDS = 5
TARGETS = {"Python": 1.5, "C": 4.0}
CRC32C = 0xE3069283
SETTLE_SECONDS = 2
TIMEOUT_SECONDS = 120
FILES = ("--file", "deploy/compose.yaml", "--file", "deploy/compose.dev.yaml")


@dataclass(frozen=True)
class WatchedService:
    """A running service that is updated after source changes: its package directory, and the URL of a checksum."""

    package: Path
    url: str

    def checksum(self) -> str:
        """Return the service's response to a request, or an empty string while it restarts."""
        body = json.dumps({"text": "123456789"}).encode()
        request = urllib.request.Request(self.url, data=body, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return str(response.read().decode())
        except OSError:
            return ""

    def wait_for(self, text: str) -> float:
        """Wait until a response contains a text, and return the elapsed seconds.

        Raises:
            TimeoutError: if no response contains it in time.

        """
        start = time.monotonic()
        while text not in self.checksum():
            if time.monotonic() - start > TIMEOUT_SECONDS:
                raise TimeoutError(f"The service did not return {text} within {TIMEOUT_SECONDS} seconds.")
            time.sleep(0.02)
        return time.monotonic() - start

    def change(self, name: str, pattern: str, replacement: str) -> None:
        """Replace text in a source file."""
        path = self.package / name
        text, count = re.subn(pattern, replacement, path.read_text("utf-8"), count=1)
        assert count == 1, name
        path.write_text(text, "utf-8")

    def change_python(self, number: int) -> float:
        """Change the format of the checksum in Python, and return the seconds until the service returns it."""
        self.change("api.py", r'08x\}\w*"', f'08x}}version{number}"')
        return self.wait_for(f"version{number}")

    def change_c(self, number: int) -> float:
        """Add a number to the checksum in C, and return the seconds until the service returns it."""
        self.change("_native.c", r"return ~crc.*;", f"return ~crc + {number}u;")
        return self.wait_for(f"{CRC32C + number:08x}")


@contextmanager
def watched_service(engine: Engine, project: Path) -> Iterator[WatchedService]:
    """Run `docker compose watch` for a project, and stop it at the end."""
    engine.base_image(PYTHON)
    override = project / "override.yaml"
    override.write_text(f'services: {{ {SLUG}: {{ ports: !override ["127.0.0.1::8000"] }} }}\n', "utf-8")
    compose = ("compose", "--project-name", f"watch-{os.getpid()}", *FILES, "--file", str(override))
    engine.docker(*compose, "up", "--build", "--detach", cwd=project)
    watch = subprocess.Popen(["docker", *compose, "watch", "--no-up"], cwd=project, env=engine.environment)
    try:
        address = engine.docker(*compose, "port", SLUG, "8000", cwd=project).stdout.strip()
        service = WatchedService(project / "src" / SLUG.replace("-", "_"), f"http://{address}/checksums")
        service.wait_for(f"{CRC32C:08x}")
        time.sleep(SETTLE_SECONDS)
        yield service
    finally:
        watch.send_signal(signal.SIGINT)
        watch.wait(timeout=60)
        engine.docker(*compose, "down", "--rmi", "all", cwd=project, check=False)


def measure(service: WatchedService) -> dict[str, list[float]]:
    """Change the Python and C code several times, and return how many seconds each change takes to apply."""
    seconds: dict[str, list[float]] = {"Python": [], "C": []}
    for number in range(1, ROUNDS + 1):
        for kind, change in (("Python", service.change_python), ("C", service.change_c)):
            seconds[kind].append(change(number))
            time.sleep(SETTLE_SECONDS)
    return seconds


def main() -> int:
    """Print the measurements, and return 1 if one misses its target."""
    with (
        tempfile.TemporaryDirectory() as directory,
        running_engine() as engine,
        watched_service(engine, generate(Path(directory), *sys.argv[1:])) as service,
    ):
        seconds = measure(service)
    print(f"load average: {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs")
    for kind, target in TARGETS.items():
        times = ", ".join(f"{value:.2f}" for value in seconds[kind])
        print(f"change to {kind} code: median {median(seconds[kind]):.2f} s, target {target} s ({times})")
    return int(any(median(seconds[kind]) > target for kind, target in TARGETS.items()))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (DockerError, EngineUnavailable, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"watch: {error}")
