"""Compare the service under load with the same routes in a bare FastAPI app, alternately, in the same image.

    python -m tools.load [--rounds N] [--seconds N] [--json FILE]

Both apps run on one CPU, and wrk, which generates the load, on another one if there are two. All traffic uses the
loopback interface. Requests per second of CPU time hardly depend on other load on the machine; all other metrics
depend on it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tools.compare import harness
from tools.demo import build, generate, log
from tools.engine import DockerError, Engine, EngineUnavailable, running_engine

IMAGE = "load-service"
WRK_IMAGE = "load-wrk"
PORTS = {"service": 8000, "bare": 8001}
BODIES = {"1 kB": 1_000, "1 MB": 1_000_000}
CONNECTIONS = 16
PROBE_PAUSE_MS = 10
# Clock ticks per second in /proc, on every Linux platform.
CLOCK_TICKS = 100
WRK = "wrk -t1 --timeout 30s -s /load.lua"

# The same routes without the template's skeleton. uvicorn's defaults include an access log on stdout.
BARE = """
import sys

import uvicorn
from checksum_service import crc32c
from fastapi import FastAPI, Request
from pydantic import BaseModel

app = FastAPI()


class Checksum(BaseModel):
    crc32c: str
    bytes: int


@app.post("/crc32c")
async def post_crc32c(request: Request) -> Checksum:
    value = size = 0
    async for chunk in request.stream():
        value = crc32c(chunk, value)
        size += len(chunk)
    return Checksum(crc32c=f"{value:08x}", bytes=size)


@app.get("/healthz")
async def get_healthz():
    return {"status": "ok"}


uvicorn.run(app, port=int(sys.argv[1]))
"""

# Arguments: body size (0 for a GET request), and pause between the requests of a connection in ms. Prints JSON.
WRK_SCRIPT = """
function init(args)
  local size, pause = tonumber(args[1]), tonumber(args[2])
  if size > 0 then
    wrk.method = "POST"
    wrk.body = string.rep("x", size)
  end
  if pause > 0 then
    delay = function() return pause end
  end
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format('{"requests": %d, "failed": %d, "seconds": %f, "p50": %f, "p99": %f}', summary.requests, failed,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""

WRK_DOCKERFILE = f"""
FROM python:3.14-slim
RUN apt-get update && apt-get install --yes --no-install-recommends wrk
COPY <<'EOF' /load.lua
{WRK_SCRIPT}
EOF
"""

Results = dict[str, dict[str, list[float]]]


class LoadError(Exception):
    """The results are invalid: a request failed, or no service responded."""


@contextmanager
def container(engine: Engine, *arguments: str) -> Iterator[str]:
    """Start a container and remove it at the end."""
    name = engine.docker("run", "--detach", "--no-healthcheck", *arguments).stdout.strip()
    try:
        yield name
    finally:
        engine.docker("rm", "--force", name, check=False)


@dataclass(frozen=True)
class LoadSetup:
    """A container with wrk, whose network namespace the containers of both apps share."""

    engine: Engine
    loader: str
    apps: dict[str, str]

    def wrk(self, script: str) -> list[dict[str, float]]:
        """Run a script with wrk commands, and return their results in the order in which they finish.

        Raises:
            LoadError: if a request failed, or there was no response.

        """
        printed = self.engine.docker("exec", self.loader, "sh", "-euc", script).stdout
        counts = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
        for count in counts:
            if count["failed"] or not count["requests"]:
                message = f"{count['failed']} requests failed, {count['requests']} succeeded: {script}"
                raise LoadError(message)
        return counts

    def cpu_seconds(self, app: str) -> float:
        """Return the CPU time that an app has used."""
        stat = self.engine.docker("exec", self.apps[app], "cat", "/proc/1/stat").stdout
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / CLOCK_TICKS

    def load(self, app: str, body: str, seconds: int) -> dict[str, float]:
        """Post bodies as fast as the app responds."""
        before = self.cpu_seconds(app)
        (count,) = self.wrk(upload(app, body, seconds))
        return {
            f"{body}: requests/s": count["requests"] / count["seconds"],
            f"{body}: requests/CPU s": count["requests"] / (self.cpu_seconds(app) - before),
            f"{body}: p50 ms": count["p50"],
            f"{body}: p99 ms": count["p99"],
        }

    def probe_during_uploads(self, app: str, body: str, seconds: int) -> dict[str, float]:
        """Poll the health check while uploads, which start before and finish after it, run at full speed."""
        url = f"http://127.0.0.1:{PORTS[app]}/healthz"
        probe = f"{WRK} -c1 -d{seconds}s {url} -- 0 {PROBE_PAUSE_MS}"
        count, _ = self.wrk(f"{upload(app, body, seconds + 1)} & sleep 0.5; {probe}; wait")
        return {f"health during {body}: p50 ms": count["p50"], f"health during {body}: p99 ms": count["p99"]}


def upload(app: str, body: str, seconds: int) -> str:
    """Return the command that posts bodies of the given size."""
    url = f"http://127.0.0.1:{PORTS[app]}/crc32c"
    return f"{WRK} -c{CONNECTIONS} -d{seconds}s {url} -- {BODIES[body]} 0"


def cpus(engine: Engine) -> tuple[str, str]:
    """Return a CPU for the services and one for the load, from those that containers may use."""
    code = "import os; print(*sorted(os.sched_getaffinity(0)))"
    found = engine.docker("run", "--rm", "--network=none", IMAGE, "python", "-c", code).stdout.split()
    return found[0], found[-1]


@contextmanager
def running_setup(engine: Engine) -> Iterator[LoadSetup]:
    """Start the containers of wrk, the service and the bare app."""
    service_cpu, load_cpu = cpus(engine)
    commands = {"service": ["checksum-service", "serve"], "bare": ["python", "-c", BARE, str(PORTS["bare"])]}
    with ExitStack() as stack:
        idle = (f"--cpuset-cpus={load_cpu}", "--network=none", WRK_IMAGE, "sleep", "infinity")
        loader = stack.enter_context(container(engine, *idle))
        options = (f"--cpuset-cpus={service_cpu}", f"--network=container:{loader}")
        apps = {}
        for app, command in commands.items():
            port = f"--env=CHECKSUM_SERVICE_PORT={PORTS[app]}"
            apps[app] = stack.enter_context(container(engine, *options, port, IMAGE, *command))
            wait_for(engine, apps[app])
        yield LoadSetup(engine, loader, apps)


def wait_for(engine: Engine, name: str) -> None:
    """Wait until a container responds. The image's health check works for both apps.

    Raises:
        LoadError: if it does not respond within 30 seconds.

    """
    check = ("python", "-P", "-m", "checksum_service.service.healthcheck")
    deadline = time.monotonic() + 30
    while engine.docker("exec", name, *check, check=False).returncode:
        if time.monotonic() > deadline:
            raise LoadError(engine.docker("logs", name).stderr)
        time.sleep(0.2)


def run(engine: Engine, rounds: int, seconds: int) -> Results:
    """Measure both apps alternately, so that background load affects both equally."""
    results: Results = defaultdict(lambda: {app: [] for app in PORTS})
    with running_setup(engine) as setup:
        measurements = [partial(setup.load, body=body) for body in BODIES]
        measurements.append(partial(setup.probe_during_uploads, body="1 MB"))
        log("warming up")
        for app in PORTS:
            for body in BODIES:
                setup.load(app, body, seconds=1)
        for number in range(rounds):
            log(f"round {number + 1} of {rounds}")
            for measure in measurements:
                for app in sorted(PORTS, reverse=number % 2 == 0):
                    for name, value in measure(app, seconds=seconds).items():
                        results[name][app].append(value)
    return results


def summaries(results: Results) -> dict[str, dict[str, dict[str, float]]]:
    """Summarise the metrics of both apps, and their ratios in each round."""
    return {
        name: {
            "service/bare": harness.summary([service / bare for service, bare in zip(*apps.values(), strict=True)]),
            **{app: harness.summary(values) for app, values in apps.items()},
        }
        for name, apps in results.items()
    }


def table(rows: dict[str, dict[str, dict[str, float]]]) -> str:
    """Format the summaries as a table: median (min to max)."""
    lines = [f"{'':28} {'service/bare':>24} {'service':>28} {'bare':>28}"]
    for name, columns in rows.items():
        ratio, *apps = columns.values()
        cells = [f"{'{median:.2f} ({min:.2f} to {max:.2f})'.format(**ratio):>24}"]
        cells += [f"{'{median:.1f} ({min:.1f} to {max:.1f})'.format(**app):>28}" for app in apps]
        lines.append(f"{name:28} {' '.join(cells)}")
    return "\n".join(lines)


FACTS = """
import json, pathlib, platform
from importlib.metadata import distributions
cpu = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").open() if line.startswith("model name")]
load = pathlib.Path("/proc/loadavg").read_text().split()[:3]
versions = {each.name: each.version for each in distributions()}
print(json.dumps({"cpu": cpu[:1], "load": load, "versions": {"python": platform.python_version(), **versions}}))
"""


def collect_facts(engine: Engine) -> dict[str, Any]:
    """Return details of the machine and the versions, and the load average before the run."""
    inside = engine.docker("run", "--rm", "--network=none", IMAGE, "python", "-c", FACTS).stdout
    details: dict[str, Any] = json.loads(inside)
    query = ("dpkg-query", "--show", "--showformat=${Version}", "wrk")
    details["versions"]["wrk"] = engine.docker("run", "--rm", "--network=none", WRK_IMAGE, *query).stdout
    form = (
        '{"docker": "{{.ServerVersion}}", "kernel": "{{.KernelVersion}}", "cpus": {{.NCPU}}, "memory": {{.MemTotal}}}'
    )
    host = json.loads(engine.docker("info", "--format", form).stdout)
    return {"date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": host, **details}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="load", description="Compare the service with a bare FastAPI app.")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="number of rounds (default: 5)")
    parser.add_argument("--seconds", type=int, default=5, metavar="N", help="duration of each measurement (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to FILE")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Build the images, measure both apps, and print the results."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as directory, running_engine() as engine:
        build(engine, generate(Path(directory), "app=service", "strategy=venv"), IMAGE)
        log("\nBuilding wrk's image")
        engine.docker("build", "--tag", WRK_IMAGE, "-", input=WRK_DOCKERFILE)
        details = collect_facts(engine)
        results = run(engine, options.rounds, options.seconds)
    rows = summaries(results)
    log(f"\n{CONNECTIONS} connections, {options.rounds} rounds of {options.seconds} s: median (min to max)\n")
    log(table(rows))
    if options.json:
        report = {
            **details,
            "rounds": options.rounds,
            "seconds": options.seconds,
            "rows": rows,
            "measurements": results,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    try:
        main()
    except (DockerError, EngineUnavailable, LoadError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"load: {error}")
