"""Build the image with every strategy in this directory, and compare sizes, build times and startup.

    python strategies/compare.py [--rounds N] [--json FILE] [STRATEGY ...]

A strategy is a directory with a Dockerfile. Each round's values are also compared with the first listed strategy's,
because absolute times depend on the host. Builds include downloads. Each round starts without cached layers and with
empty cache mounts. After each measurement, the cache records that it added are removed. If a build of another project
has reused one of them in the meantime, that project's next build must repeat the step.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

HERE = Path(__file__).resolve().parent
FIRST = "venv"
TIMEOUT_SECONDS = 60
ATTEMPTS = 3
# The startup time varies more than the other measurements, so each value is the median of several starts.
STARTS = 5
# Files of a project that no build needs.
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "build", "dist", "*.egg-info", "*.so", "__pycache__", ".*_cache")

# six has no dependencies, so one line locks it.
REQUIREMENT = "six==1.17.0"
HASHES = (
    "sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274",
    "sha256:ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81",
)

REGISTRY_PORT = 5000
# Replace the configuration of Debian's package, because it requires a password.
REGISTRY_DOCKERFILE = """
ARG BASE=scratch
FROM ${BASE}
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends docker-registry \\
    && rm -rf /var/lib/apt/lists/*
COPY <<EOF /registry.yml
version: 0.1
http: {addr: ":5000"}
log: {level: warn}
storage: {filesystem: {rootdirectory: /var/lib/registry}}
EOF
VOLUME /var/lib/registry
CMD ["docker-registry", "serve", "/registry.yml"]
"""
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

FACTS = """
import json, pathlib, platform
lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
cpu = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
load = [float(part) for part in pathlib.Path("/proc/loadavg").read_text().split()[:3]]
debian = pathlib.Path("/etc/debian_version").read_text().strip()
versions = {"python": platform.python_version(), "debian": debian}
print(json.dumps({"cpu": cpu[0] if cpu else platform.machine(), "load": load, "versions": versions}))
"""


class CompareError(Exception):
    """Something cannot be measured. The message names it, and contains the last lines of output."""


@dataclass(frozen=True)
class Metric:
    """A metric of each strategy; `factor` converts stored values to the unit for display."""

    title: str
    unit: str
    factor: float = 1.0


METRICS = {
    "size": Metric("added to the base image", "MB", 1e-6),
    "compressed": Metric("added to the base image, compressed", "MB", 1e-6),
    "image": Metric("whole image", "MB", 1e-6),
    "pulled": Metric("whole image, compressed", "MB", 1e-6),
    "cold": Metric("cold build", "s"),
    "edit_py": Metric("rebuild after changing one .py", "s"),
    "edit_c": Metric("rebuild after changing one .c", "s"),
    "add_requirement": Metric("rebuild with one more dependency", "s"),
    "pushed": Metric("pushed after changing one .py", "kB", 1e-3),
    "start": Metric("docker run to first response", "s"),
    "memory": Metric("memory", "MB", 1e-6),
}
GROUPS: dict[str, Sequence[str]] = {
    "Images": ("size", "compressed", "image", "pulled", "pushed", "start", "memory"),
    "Builds": ("cold", "edit_py", "edit_c", "add_requirement"),
}


@dataclass(frozen=True)
class Engine:
    """A Docker engine. Commands need `environment` to connect to it."""

    environment: dict[str, str]

    def docker(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `docker ARGUMENTS`, and return the finished process.

        Raises:
            CompareError: if it fails and `check` is true.

        """
        command = ["docker", *arguments]
        settings = {"env": self.environment, "capture_output": True, "text": True, **options}
        process = subprocess.run(command, check=False, **settings)
        if check and process.returncode:
            last = f"{process.stdout}{process.stderr}".strip().splitlines()[-40:]
            raise CompareError("\n".join([f"status {process.returncode}: {shlex.join(command)}", *last]))
        return process

    def image(self, name: str) -> dict[str, Any]:
        """Return the metadata of an image."""
        (metadata,) = json.loads(self.docker("image", "inspect", name).stdout)
        return dict(metadata)

    def cached_records(self) -> set[str]:
        """Return the IDs of the records in the build cache."""
        # A star after the ID marks mutable records.
        return set(re.findall(r"^(\w{25})\b", self.docker("buildx", "du").stdout, re.MULTILINE))


@dataclass(frozen=True)
class Project:
    """A project, with its names in pyproject.toml."""

    path: Path
    name: str
    package: str

    @classmethod
    def at(cls, path: Path) -> Project:
        """Read the names of the project in a directory."""
        metadata = tomllib.loads((path / "pyproject.toml").read_text("utf-8"))["project"]
        command = metadata["scripts"][metadata["name"]]
        return cls(path, metadata["name"], command.split(".")[0])

    def dockerfile(self, strategy: str) -> str:
        """Return the path of a strategy's Dockerfile, relative to the project."""
        return f"strategies/{strategy}/Dockerfile"

    def base(self, strategy: str) -> str:
        """Return the base image of a strategy."""
        text = (self.path / self.dockerfile(strategy)).read_text("utf-8")
        found = re.search(r"^FROM (\S+)", text, re.MULTILINE)
        if not found:
            raise CompareError(f"{self.dockerfile(strategy)} does not name a base image")
        return found[1]

    @contextmanager
    def temporary_copy(self) -> Iterator[Project]:
        """Copy the project to a temporary directory."""
        with tempfile.TemporaryDirectory() as directory:
            copy = shutil.copytree(self.path, Path(directory) / self.path.name, ignore=NOT_COPIED)
            yield Project(copy, self.name, self.package)

    def append(self, name: str, line: str) -> None:
        """Add a line to a file."""
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


Edit = Callable[[Project, str], None]


def edit_nothing(_project: Project, _token: str) -> None:
    """Leave a project as it is."""


def edit_py(project: Project, token: str) -> None:
    """Change one Python file."""
    project.append(f"src/{project.package}/cli.py", f"# {token}")


def edit_c(project: Project, token: str) -> None:
    """Change the code generated from one C file, because ccache ignores a changed comment."""
    project.append(c_source(project), f'const char edited_{token}[] = "{token}";')


def c_source(project: Project) -> str:
    """Return the path of the project's first C file.

    Raises:
        CompareError: if the project has no C file.

    """
    files = sorted((project.path / "src" / project.package).glob("*.c"))
    if not files:
        raise CompareError(f"src/{project.package} has no C file to change and recompile")
    return files[0].relative_to(project.path).as_posix()


def check(project: Project) -> None:
    """Check that each change can be made, before anything is measured.

    Raises:
        CompareError: if a change cannot be made.

    """
    c_source(project)
    name = REQUIREMENT.partition("==")[0]
    if re.search(rf"^{name}\b", (project.path / "requirements.txt").read_text("utf-8"), re.MULTILINE):
        raise CompareError(f"{name} is already locked. Name another dependency, with its hashes, in compare.py")


def add_requirement(project: Project, token: str) -> None:
    """Add a dependency and its hashes. The token prevents a cache hit on the layer of an earlier round."""
    pyproject = project.path / "pyproject.toml"
    text = pyproject.read_text("utf-8")
    pyproject.write_text(text.replace("dependencies = [", f'dependencies = ["{REQUIREMENT}", ', 1), "utf-8")
    project.append("requirements.txt", " \\\n    ".join([REQUIREMENT, *(f"--hash={each}" for each in HASHES)]))
    project.append("requirements.txt", f"# {token}")


@dataclass(frozen=True)
class Pushed:
    """An image in a registry: the size of each blob and manifest by digest, and the layers."""

    sizes: dict[str, int]
    layers: list[str]
    diff_ids: list[str]


def new_bytes(before: Pushed, after: Pushed) -> int:
    """Return the bytes to push for one image if the registry contains another."""
    return sum(size for digest, size in after.sizes.items() if digest not in before.sizes)


@dataclass(frozen=True)
class Registry:
    """A registry on the loopback interface."""

    address: str

    def get(self, path: str, *accepted: str) -> Any:
        """Request a blob or manifest."""
        request = urllib.request.Request(f"http://{self.address}/v2/{path}", headers={"Accept": ", ".join(accepted)})
        return urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)

    def image(self, repository: str, reference: str) -> Pushed:
        """Return the parts of an image: index, manifests, configuration, layers and attestations."""
        with self.get(f"{repository}/manifests/{reference}", *MANIFESTS) as response:
            text = response.read()
        manifest = json.loads(text)
        own = {f"sha256:{hashlib.sha256(text).hexdigest()}": len(text)}
        if "manifests" in manifest:
            parts = [(part, self.image(repository, part["digest"])) for part in manifest["manifests"]]
            sizes = own | {digest: size for _, part in parts for digest, size in part.sizes.items()}
            # Attestations have an unknown platform.
            (runnable,) = (image for part, image in parts if part["platform"]["os"] != "unknown")
            return Pushed(sizes, runnable.layers, runnable.diff_ids)
        blobs = [manifest["config"], *manifest["layers"]]
        with self.get(f"{repository}/blobs/{manifest['config']['digest']}") as response:
            config = json.load(response)
        layers = [layer["digest"] for layer in manifest["layers"]]
        sizes = own | {blob["digest"]: blob["size"] for blob in blobs}
        return Pushed(sizes, layers, config.get("rootfs", {}).get("diff_ids", []))

    def bytes_of_files(self, repository: str, digest: str) -> int:
        """Return the total size of the files in a layer."""
        with self.get(f"{repository}/blobs/{digest}") as response, tarfile.open(fileobj=response, mode="r|*") as layer:
            return sum(member.size for member in layer)


@contextmanager
def running_registry(engine: Engine, base: str) -> Iterator[Registry]:
    """Start a registry, built from the base image and Debian's package."""
    tag = f"compare-registry-{os.getpid()}"
    engine.docker("build", f"--build-arg=BASE={base}", "--tag", tag, "-", input=REGISTRY_DOCKERFILE)
    try:
        with container(engine, f"--publish=127.0.0.1::{REGISTRY_PORT}", tag) as name:
            registry = Registry(published_address(engine, name, REGISTRY_PORT))
            wait_for(f"http://{registry.address}/v2/")
            yield registry
    finally:
        engine.docker("image", "rm", "--force", tag, check=False)


@contextmanager
def container(engine: Engine, *arguments: str) -> Iterator[str]:
    """Start a container, yield its ID, and remove it at the end."""
    name = engine.docker("run", "--detach", *arguments).stdout.strip()
    try:
        yield name
    finally:
        engine.docker("rm", "--force", "--volumes", name, check=False)


def published_address(engine: Engine, name: str, port: int) -> str:
    """Return the address at which a container's port is published."""
    return engine.docker("port", name, f"{port}/tcp").stdout.splitlines()[0]


def wait_for(url: str) -> None:
    """Request a URL repeatedly, until there is a response.

    Raises:
        CompareError: if there is none within a minute.

    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise CompareError(f"{url} does not respond: {error}") from error
            time.sleep(0.001)


def has_cached_run_step(output: str) -> bool:
    """Return whether the plain log of a build shows a cached RUN step."""
    return any(f"\n#{number} CACHED\n" in output for number in re.findall(r"^#(\d+) \[.*\] RUN ", output, re.MULTILINE))


@dataclass
class Run:
    """The measurements of one strategy in one round."""

    engine: Engine
    registry: Registry
    project: Project
    strategy: str
    add_requirement: Edit
    token: str = field(default_factory=lambda: uuid4().hex)
    measurements: dict[str, float] = field(default_factory=dict)
    built_steps: set[str] = field(default_factory=set)
    cached_before: set[str] = field(init=False)

    def __post_init__(self) -> None:
        """Remember the build cache before the measurements."""
        self.cached_before = self.engine.cached_records()

    @property
    def repository(self) -> str:
        """Return the name of the strategy's images in the registry."""
        return f"{self.project.name}/{self.strategy}"

    def tag(self, step: str) -> str:
        """Return the tag of the image that a step builds."""
        return f"{self.registry.address}/{self.repository}:{step}"

    def build(self, step: str, edit: Edit = edit_nothing, *options: str) -> float:
        """Edit a copy of the project, build it, and return the seconds that the build takes."""
        self.built_steps.add(step)
        # The namespace is new in each round, so that its cache mounts start empty.
        own = (f"--build-arg=BUILDKIT_CACHE_MOUNT_NS={self.token}", f"--tag={self.tag(step)}", *options)
        with self.project.temporary_copy() as copy:
            edit(copy, self.token)
            file = f"--file={copy.dockerfile(self.strategy)}"
            begin = time.perf_counter()
            output = self.engine.docker("build", "--progress=plain", *own, file, ".", cwd=copy.path).stderr
            took = time.perf_counter() - begin
        if edit is not edit_nothing and not has_cached_run_step(output):
            # BuildKit merges identical uncached steps of builds that run at the same time.
            raise CompareError(f"no layer of {self.strategy} was cached; stop other builds on this engine")
        return took

    def record(self, **measurements: float) -> None:
        """Record measurements, and print them."""
        self.measurements |= measurements
        for name, value in measurements.items():
            log(f" {name} {format_value(name, value)}", end="")

    def measure_builds(self) -> None:
        """Build without a cache, then after each kind of change."""
        self.record(cold=self.build("cold", edit_nothing, "--no-cache"))
        self.record(edit_py=self.build("edit_py", edit_py))
        self.record(edit_c=self.build("edit_c", edit_c))
        self.record(add_requirement=self.build("add_requirement", self.add_requirement))

    def push(self, step: str) -> Pushed:
        """Push the image of a step, and return its parts in the registry."""
        self.engine.docker("push", self.tag(step))
        return self.registry.image(self.repository, step)

    def measure_sizes(self) -> None:
        """Measure all layers, those above the base image (all if it is not part of the image), and the bytes pushed."""
        cold, edited = self.push("cold"), self.push("edit_py")
        below = self.engine.image(self.project.base(self.strategy))["RootFS"]["Layers"]
        own = cold.layers[len(below) :] if cold.diff_ids[: len(below)] == below else cold.layers
        files = {layer: self.registry.bytes_of_files(self.repository, layer) for layer in {*cold.layers}}
        self.record(
            size=sum(files[layer] for layer in own),
            compressed=sum(cold.sizes[layer] for layer in own),
            image=sum(files[layer] for layer in cold.layers),
            pulled=sum(cold.sizes[layer] for layer in cold.layers),
            pushed=new_bytes(cold, edited),
        )

    def port(self) -> int | None:
        """Return the port that the image exposes, or None if there is none."""
        ports = self.engine.image(self.tag("cold"))["Config"].get("ExposedPorts")
        return int(next(iter(ports)).split("/")[0]) if ports else None

    def measure_startup(self) -> None:
        """Measure the startup and memory of the image."""
        if port := self.port():
            self.measure_service(port)
        else:
            self.measure_command()

    def measure_service(self, port: int) -> None:
        """Start the service several times, and measure its memory once."""
        starts: list[float] = []
        while len(starts) < STARTS:
            with self.started_service(port) as (name, took):
                starts.append(took)
                if len(starts) == STARTS:
                    self.measure_memory(name)
        self.record(start=median(starts))

    @contextmanager
    def started_service(self, port: int) -> Iterator[tuple[str, float]]:
        """Start the service; yield its container, and the seconds until its first response."""
        options = ("--read-only", "--no-healthcheck", f"--publish=127.0.0.1::{port}")
        begin = time.perf_counter()
        with container(self.engine, *options, self.tag("cold")) as name:
            wait_for(f"http://{published_address(self.engine, name, port)}/healthz")
            yield name, time.perf_counter() - begin

    def measure_command(self) -> None:
        """Run the command several times with empty input, then measure its memory while it waits for input."""
        command = (self.tag("cold"), self.project.name, "crc32c")
        starts: list[float] = []
        while len(starts) < STARTS:
            begin = time.perf_counter()
            self.engine.docker("run", "--rm", "--interactive", "--read-only", *command, input="")
            starts.append(time.perf_counter() - begin)
        self.record(start=median(starts))
        with container(self.engine, "--interactive", "--read-only", *command) as name:
            self.measure_memory(name)

    def measure_memory(self, name: str) -> None:
        """Measure the resident memory of PID 1."""
        # An image without a shell contains no cat.
        show = "print(open('/proc/1/status').read())"
        status = self.engine.docker("exec", name, "python", "-c", show).stdout
        memory = re.search(r"^VmRSS:\s*(\d+) kB$", status, re.MULTILINE)
        if not memory:
            raise CompareError(f"PID 1 of {self.strategy} has exited:\n{status}")
        self.record(memory=int(memory[1]) * 1024)

    def clean(self) -> None:
        """Remove the images and the new cache records, which no later round uses and which would fill the disk."""
        if self.built_steps:
            self.engine.docker("image", "rm", "--force", *map(self.tag, sorted(self.built_steps)), check=False)
        if new := self.engine.cached_records() - self.cached_before:
            own = f"id~=^({'|'.join(sorted(new))})$"
            self.engine.docker("builder", "prune", "--all", "--force", "--filter", own, check=False)


Step = Callable[[Run], None]
# For each strategy and metric, the values of all rounds, or a summary of them.
Results = dict[str, dict[str, list[float]]]
Summaries = dict[str, dict[str, dict[str, Any]]]


def measure(
    engine: Engine,
    project: Project,
    strategies: Sequence[str],
    rounds: int,
    add_requirement: Edit = add_requirement,
    extra: Sequence[Step] = (),
) -> Results:
    """Measure every strategy in every round, so that other load on the host affects all of them.

    Args:
        engine: the engine that builds and runs the images.
        project: the project to build; it is not changed.
        strategies: names of directories in strategies/.
        rounds: the number of rounds.
        add_requirement: adds a dependency to a copy of the project.
        extra: further steps for each measurement.

    """
    check(project)
    bases = {project.base(strategy) for strategy in strategies}
    for base in bases:
        pull_if_missing(engine, base)
    results: Results = {strategy: {} for strategy in strategies}
    with running_registry(engine, project.base(strategies[0])) as registry:
        for number in range(rounds):
            log(f"round {number + 1} of {rounds}")
            begin = number % len(strategies)
            for strategy in [*strategies[begin:], *strategies[:begin]]:
                # Sizes do not vary between rounds, so measure them once.
                steps = [Run.measure_builds, *([] if number else [Run.measure_sizes]), Run.measure_startup, *extra]
                new_run = partial(Run, engine, registry, project, strategy, add_requirement)
                for name, value in measure_with_retries(new_run, steps).items():
                    results[strategy].setdefault(name, []).append(value)
    return results


def measure_with_retries(new_run: Callable[[], Run], steps: Sequence[Step]) -> dict[str, float]:
    """Measure one strategy, with retries, so that one failed download does not lose all measurements.

    Raises:
        CompareError: if it fails for the third time.

    """
    attempts = 0
    while True:
        run = new_run()
        attempts += 1
        log(f"  {run.strategy}:", end="")
        try:
            for step in steps:
                step(run)
            return run.measurements
        except CompareError as error:
            if attempts == ATTEMPTS:
                raise
            log(f"\n{error}\n  retry:", end="")
        finally:
            run.clean()
            log("")


def pull_if_missing(engine: Engine, base: str) -> None:
    """Pull a base image if it is missing."""
    if engine.docker("image", "inspect", base, check=False).returncode:
        engine.docker("pull", base)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return median, minimum and maximum."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def summarise(results: Results) -> Summaries:
    """Summarise the values of each strategy, and their ratios to the first listed strategy, by round."""
    first = next(iter(results.values()))

    def summarise_metric(name: str, values: list[float]) -> dict[str, Any]:
        result: dict[str, Any] = summary(values)
        if len(first.get(name, [])) == len(values):
            result["ratio"] = summary([own / other for own, other in zip(values, first[name], strict=True)])
        return result

    return {
        strategy: {name: summarise_metric(name, values) for name, values in measurements.items()}
        for strategy, measurements in results.items()
    }


def collect_facts(engine: Engine, base: str) -> dict[str, Any]:
    """Return the date, host and versions of the measurements, and the load of the host before they start."""
    pull_if_missing(engine, base)
    inside = engine.docker("run", "--rm", "--network=none", base, "python", "-c", FACTS).stdout
    found: dict[str, Any] = json.loads(inside)
    host, server = (json.loads(engine.docker(word, "--format", "json").stdout) for word in ("info", "version"))
    machine = {
        "cpu": found.pop("cpu"),
        "cpus": host["NCPU"],
        "memory": host["MemTotal"],
        "kernel": host["KernelVersion"].partition("-")[0],
    }
    buildx = engine.docker("buildx", "version", check=False).stdout.split()
    found["versions"] |= {"docker": server["Server"]["Version"], "buildx": buildx[1] if len(buildx) > 1 else "none"}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"date": date, "machine": machine, "storage": host["Driver"], "base": base, **found}


def three_digits(value: float) -> str:
    """Format a number with three significant digits, or all digits of its integer part."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def format_value(name: str, value: float) -> str:
    """Format a value with its unit."""
    metric = METRICS[name]
    return f"{three_digits(value * metric.factor)} {metric.unit}".strip()


def ratio_cell(_name: str, value: dict[str, Any]) -> str:
    """Format a ratio."""
    return three_digits(value["ratio"]["median"]) if "ratio" in value else ""


def value_cell(name: str, value: dict[str, Any]) -> str:
    """Format a value with its range."""
    factor = METRICS[name].factor
    middle, low, high = (three_digits(value[key] * factor) for key in ("median", "min", "max"))
    return middle if low == high else f"{middle} ({low} to {high})"


Cell = Callable[[str, dict[str, Any]], str]


def table(strategies: Summaries, names: Sequence[str], cell: Cell) -> str:
    """Return a table of some metrics of all strategies, in Markdown with aligned columns."""
    heads = {name: [METRICS[name].title, *([METRICS[name].unit] if cell is value_cell else [])] for name in names}
    head = ["", *(", ".join(filter(None, words)) for words in heads.values())]
    rows = [
        [strategy, *(cell(name, values[name]) if name in values else "" for name in names)]
        for strategy, values in strategies.items()
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in [head, rule, *rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables(strategies: Summaries, groups: dict[str, Sequence[str]] = GROUPS) -> str:
    """Return all tables, the ratios first."""
    first = next(iter(strategies))
    measured = {
        title: [name for name in names if any(name in values for values in strategies.values())]
        for title, names in groups.items()
    }
    kinds: list[tuple[str, Cell]] = [(f"relative to {first}", ratio_cell), ("median (min to max)", value_cell)]
    return "\n\n".join(
        f"{title}, {kind}:\n\n{table(strategies, names, cell)}"
        for kind, cell in kinds
        for title, names in measured.items()
    )


def log(text: str, end: str = "\n") -> None:
    """Print progress at once."""
    print(text, end=end, flush=True)


def list_strategies() -> list[str]:
    """List the directories with a Dockerfile; the baseline comes first."""
    return sorted(
        (path.parent.name for path in HERE.glob("*/Dockerfile")), key=lambda strategy: (strategy != FIRST, strategy)
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="compare", description="Build the image with every strategy, and compare.")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="number of rounds (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the values to FILE")
    names = f"a directory in strategies/ ({', '.join(list_strategies())})"
    parser.add_argument("strategies", nargs="*", metavar="STRATEGY", help=names)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the results."""
    options = parse(arguments)
    engine = Engine({"DOCKER_BUILDKIT": "1", **os.environ})
    project = Project.at(HERE.parent)
    strategies = options.strategies or list_strategies()
    environment = collect_facts(engine, project.base(strategies[0]))
    summaries = summarise(measure(engine, project, strategies, options.rounds))
    log(f"\n{tables(summaries)}")
    if options.json:
        report = {**environment, "rounds": options.rounds, "strategies": summaries}
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    try:
        main()
    except (CompareError, OSError) as error:
        sys.exit(f"compare: {error}")
    except KeyboardInterrupt:
        sys.exit("\ncompare: interrupted")
