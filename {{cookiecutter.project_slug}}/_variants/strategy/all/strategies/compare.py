"""Build the image every way that has a folder beside this file, in turns, and compare what each costs.

    python strategies/compare.py [--rounds N] [--json FILE] [WAY ...]

A way is a folder with a Dockerfile. All figures are also told as ratios to those of the first way, taken in the same
round: absolute times are those of one machine. Downloads are part of the builds. Each round's cold builds use no layer
of an earlier one, and have cache mounts of their own. What they add to the engine's cache is removed after each turn;
another project's next build may then run a step again.
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
PATIENCE = 60
ATTEMPTS = 3
# What a project may hold that no build needs.
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "build", "dist", "*.egg-info", "*.so", "__pycache__", ".*_cache")

# It has no requirements of its own, so one line locks it.
REQUIREMENT = "six==1.17.0"
HASHES = (
    "sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274",
    "sha256:ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81",
)

REGISTRY_PORT = 5000
# Debian's own configuration asks for a password.
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
    """Something cannot be measured. The message says what, and holds the end of what was printed."""


@dataclass(frozen=True)
class Figure:
    """Something that is measured of each way; `factor` turns what is kept into what is shown."""

    title: str
    unit: str
    factor: float = 1.0


FIGURES = {
    "size": Figure("above the base image", "MB", 1e-6),
    "compressed": Figure("above the base image, compressed", "MB", 1e-6),
    "cold": Figure("cold build", "s"),
    "edit_py": Figure("rebuild after changing one .py", "s"),
    "edit_c": Figure("rebuild after changing one .c", "s"),
    "add_requirement": Figure("rebuild with one more dependency", "s"),
    "pushed": Figure("pushed after changing one .py", "kB", 1e-3),
    "start": Figure("docker run to first response", "s"),
    "memory": Figure("memory", "MB", 1e-6),
}
GROUPS: dict[str, Sequence[str]] = {
    "Images": ("size", "compressed", "pushed", "start", "memory"),
    "Builds": ("cold", "edit_py", "edit_c", "add_requirement"),
}


@dataclass(frozen=True)
class Engine:
    """A Docker engine. `environment` is what a command needs to reach it."""

    environment: dict[str, str]

    def docker(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `docker ARGUMENTS`, and return what it prints.

        Raises:
            CompareError: it fails, and `check` does not allow that.

        """
        command = ["docker", *arguments]
        settings = {"env": self.environment, "capture_output": True, "text": True, **options}
        finished = subprocess.run(command, check=False, **settings)
        if check and finished.returncode:
            last = f"{finished.stdout}{finished.stderr}".strip().splitlines()[-40:]
            raise CompareError("\n".join([f"status {finished.returncode}: {shlex.join(command)}", *last]))
        return finished

    def image(self, name: str) -> dict[str, Any]:
        """Return what the engine knows of an image."""
        (known,) = json.loads(self.docker("image", "inspect", name).stdout)
        return dict(known)

    def cached(self) -> set[str]:
        """List the records of the build cache, by identity."""
        # A star marks the ones that can be written to.
        return set(re.findall(r"^(\w{25})\b", self.docker("buildx", "du").stdout, re.MULTILINE))


@dataclass(frozen=True)
class Project:
    """A project, its names as pyproject.toml tells them."""

    path: Path
    name: str
    package: str

    @classmethod
    def at(cls, path: Path) -> Project:
        """Read the names of the project in a folder."""
        metadata = tomllib.loads((path / "pyproject.toml").read_text("utf-8"))["project"]
        command = metadata["scripts"][metadata["name"]]
        return cls(path, metadata["name"], command.split(".")[0])

    def dockerfile(self, way: str) -> str:
        """Return where a way's Dockerfile is, from the project's folder."""
        return f"strategies/{way}/Dockerfile"

    def base(self, way: str) -> str:
        """Return the image that a way starts from."""
        text = (self.path / self.dockerfile(way)).read_text("utf-8")
        found = re.search(r"^(?:ARG BASE=|FROM )(\S+)", text, re.MULTILINE)
        if not found:
            raise CompareError(f"{self.dockerfile(way)} names no base image")
        return found[1]

    @contextmanager
    def copied(self) -> Iterator[Project]:
        """Give a copy, to edit it."""
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copytree(self.path, Path(folder) / self.path.name, ignore=NOT_COPIED)
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
    """Change what one C file compiles to: a compiler's cache sees through a comment."""
    project.append(c_source(project), f'const char edited_{token}[] = "{token}";')


def c_source(project: Project) -> str:
    """Return where the project's first C file is.

    Raises:
        CompareError: it has none.

    """
    files = sorted((project.path / "src" / project.package).glob("*.c"))
    if not files:
        raise CompareError(f"src/{project.package} has no C file: there is nothing to edit and to compile again")
    return files[0].relative_to(project.path).as_posix()


def check(project: Project) -> None:
    """See that each edit can be made, before anything is measured.

    Raises:
        CompareError: one cannot.

    """
    c_source(project)
    name = REQUIREMENT.partition("==")[0]
    if re.search(rf"^{name}\b", (project.path / "requirements.txt").read_text("utf-8"), re.MULTILINE):
        raise CompareError(f"{name} is locked already: name another requirement, with its hashes, in compare.py")


def add_requirement(project: Project, token: str) -> None:
    """Add a requirement and its hashes. The token keeps the layer of an earlier round from fitting."""
    pyproject = project.path / "pyproject.toml"
    text = pyproject.read_text("utf-8")
    pyproject.write_text(text.replace("dependencies = [", f'dependencies = ["{REQUIREMENT}", ', 1), "utf-8")
    project.append("requirements.txt", " \\\n    ".join([REQUIREMENT, *(f"--hash={each}" for each in HASHES)]))
    project.append("requirements.txt", f"# {token}")


@dataclass(frozen=True)
class Pushed:
    """An image in a registry: the size of each blob and manifest by its digest, and its layers."""

    sizes: dict[str, int]
    layers: list[str]
    diff_ids: list[str]


def new_bytes(before: Pushed, after: Pushed) -> int:
    """Count the bytes that a registry which has one image still needs for another."""
    return sum(size for digest, size in after.sizes.items() if digest not in before.sizes)


@dataclass(frozen=True)
class Registry:
    """A registry on the loopback interface."""

    address: str

    def get(self, path: str, *accepted: str) -> Any:
        """Ask for a blob or manifest."""
        request = urllib.request.Request(f"http://{self.address}/v2/{path}", headers={"Accept": ", ".join(accepted)})
        return urllib.request.urlopen(request, timeout=PATIENCE)

    def image(self, repository: str, reference: str) -> Pushed:
        """Tell what an image consists of: index, manifests, configuration, layers and attestations."""
        with self.get(f"{repository}/manifests/{reference}", *MANIFESTS) as response:
            text = response.read()
        manifest = json.loads(text)
        own = {f"sha256:{hashlib.sha256(text).hexdigest()}": len(text)}
        if "manifests" in manifest:
            parts = [(part, self.image(repository, part["digest"])) for part in manifest["manifests"]]
            sizes = own | {digest: size for _, part in parts for digest, size in part.sizes.items()}
            # Where the platform is unknown, it is an attestation.
            (runs,) = (image for part, image in parts if part["platform"]["os"] != "unknown")
            return Pushed(sizes, runs.layers, runs.diff_ids)
        blobs = [manifest["config"], *manifest["layers"]]
        with self.get(f"{repository}/blobs/{manifest['config']['digest']}") as response:
            config = json.load(response)
        layers = [layer["digest"] for layer in manifest["layers"]]
        sizes = own | {blob["digest"]: blob["size"] for blob in blobs}
        return Pushed(sizes, layers, config.get("rootfs", {}).get("diff_ids", []))

    def bytes_of_files(self, repository: str, digest: str) -> int:
        """Sum the sizes of the files in a layer."""
        with self.get(f"{repository}/blobs/{digest}") as response, tarfile.open(fileobj=response, mode="r|*") as layer:
            return sum(member.size for member in layer)


@contextmanager
def running_registry(engine: Engine, base: str) -> Iterator[Registry]:
    """Start a registry, made from the base image and Debian's package."""
    tag = f"compare-registry-{os.getpid()}"
    engine.docker("build", f"--build-arg=BASE={base}", "--tag", tag, "-", input=REGISTRY_DOCKERFILE)
    try:
        with container(engine, f"--publish=127.0.0.1::{REGISTRY_PORT}", tag) as name:
            registry = Registry(published(engine, name, REGISTRY_PORT))
            wait_for(f"http://{registry.address}/v2/")
            yield registry
    finally:
        engine.docker("image", "rm", "--force", tag, check=False)


@contextmanager
def container(engine: Engine, *arguments: str) -> Iterator[str]:
    """Start a container, give its id, and remove it at the end."""
    name = engine.docker("run", "--detach", *arguments).stdout.strip()
    try:
        yield name
    finally:
        engine.docker("rm", "--force", "--volumes", name, check=False)


def published(engine: Engine, name: str, port: int) -> str:
    """Return the address at which a container's port is published."""
    return engine.docker("port", name, f"{port}/tcp").stdout.splitlines()[0]


def wait_for(url: str) -> None:
    """Ask without a pause, until there is an answer.

    Raises:
        CompareError: there is none for a minute.

    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise CompareError(f"{url} does not answer: {error}") from error
            time.sleep(0.001)


def kept_a_layer(log: str) -> bool:
    """Tell from the plain log of a build whether any of its RUN steps was cached."""
    return any(f"\n#{number} CACHED\n" in log for number in re.findall(r"^#(\d+) \[.*\] RUN ", log, re.MULTILINE))


@dataclass
class Turn:
    """What is measured of one way in one round."""

    engine: Engine
    registry: Registry
    project: Project
    way: str
    add_requirement: Edit
    token: str = field(default_factory=lambda: uuid4().hex)
    figures: dict[str, float] = field(default_factory=dict)
    built: set[str] = field(default_factory=set)
    kept: set[str] = field(init=False)

    def __post_init__(self) -> None:
        """Note what the build cache has before the turn."""
        self.kept = self.engine.cached()

    @property
    def repository(self) -> str:
        """Return the name that the way's images have in the registry."""
        return f"{self.project.name}/{self.way}"

    def tag(self, step: str) -> str:
        """Return the tag of the image that a step builds."""
        return f"{self.registry.address}/{self.repository}:{step}"

    def build(self, step: str, edit: Edit = edit_nothing, *options: str) -> float:
        """Edit a copy of the project, build it, and return the seconds that the build takes."""
        self.built.add(step)
        # Other rounds' cache mounts have another namespace, and are empty here.
        own = (f"--build-arg=BUILDKIT_CACHE_MOUNT_NS={self.token}", f"--tag={self.tag(step)}", *options)
        with self.project.copied() as copy:
            edit(copy, self.token)
            file = f"--file={copy.dockerfile(self.way)}"
            begin = time.perf_counter()
            log = self.engine.docker("build", "--progress=plain", *own, file, ".", cwd=copy.path).stderr
            took = time.perf_counter() - begin
        if edit is not edit_nothing and not kept_a_layer(log):
            # BuildKit lets a build join the uncached steps of another one that runs at that time.
            raise CompareError(f"no layer of {self.way}'s build was kept: does the engine build something else?")
        return took

    def tell(self, **figures: float) -> None:
        """Keep figures, and show them."""
        self.figures |= figures
        for name, value in figures.items():
            say(f" {name} {shown(name, value)}", end="")

    def builds(self) -> None:
        """Build from nothing, then after each kind of edit."""
        self.tell(cold=self.build("cold", edit_nothing, "--no-cache"))
        self.tell(edit_py=self.build("edit_py", edit_py))
        self.tell(edit_c=self.build("edit_c", edit_c))
        self.tell(add_requirement=self.build("add_requirement", self.add_requirement))

    def push(self, step: str) -> Pushed:
        """Push what a step has built, and look at it in the registry."""
        self.engine.docker("push", self.tag(step))
        return self.registry.image(self.repository, step)

    def sizes(self) -> None:
        """Count what is above the base image, and what has to be pushed after an edit."""
        cold, edited = self.push("cold"), self.push("edit_py")
        base = self.project.base(self.way)
        below = self.engine.image(base)["RootFS"]["Layers"]
        if cold.diff_ids[: len(below)] != below:
            raise CompareError(f"{self.way} is not built on {base}")
        own = cold.layers[len(below) :]
        self.tell(
            size=sum(self.registry.bytes_of_files(self.repository, layer) for layer in own),
            compressed=sum(cold.sizes[layer] for layer in own),
            pushed=new_bytes(cold, edited),
        )

    def port(self) -> int | None:
        """Return the port that the image exposes, or None when it serves nothing."""
        ports = self.engine.image(self.tag("cold"))["Config"].get("ExposedPorts")
        return int(next(iter(ports)).split("/")[0]) if ports else None

    def runs(self) -> None:
        """Start it, and look into it while it runs."""
        if port := self.port():
            self.run_service(port)
        else:
            self.run_command()

    def run_service(self, port: int) -> None:
        """Start the service, and wait for its first answer."""
        begin = time.perf_counter()
        options = ("--read-only", "--no-healthcheck", f"--publish=127.0.0.1::{port}")
        with container(self.engine, *options, self.tag("cold")) as name:
            wait_for(f"http://{published(self.engine, name, port)}/healthz")
            self.tell(start=time.perf_counter() - begin)
            self.look_into(name)

    def run_command(self) -> None:
        """Let the command sum nothing, and then wait for something to sum."""
        command = (self.tag("cold"), self.project.name, "crc32c")
        begin = time.perf_counter()
        self.engine.docker("run", "--rm", "--interactive", "--read-only", *command, input="")
        self.tell(start=time.perf_counter() - begin)
        with container(self.engine, "--interactive", "--read-only", *command) as name:
            self.look_into(name)

    def look_into(self, name: str) -> None:
        """Read the memory that process 1 has in use."""
        status = self.engine.docker("exec", name, "cat", "/proc/1/status").stdout
        memory = re.search(r"^VmRSS:\s*(\d+) kB$", status, re.MULTILINE)
        if not memory:
            raise CompareError(f"process 1 of {self.way} has ended:\n{status}")
        self.tell(memory=int(memory[1]) * 1024)

    def clean(self) -> None:
        """Remove the images, and what the builds have cached: no later turn uses it, and it would fill the disk."""
        if self.built:
            self.engine.docker("image", "rm", "--force", *map(self.tag, sorted(self.built)), check=False)
        if new := self.engine.cached() - self.kept:
            own = f"id~=^({'|'.join(sorted(new))})$"
            self.engine.docker("builder", "prune", "--all", "--force", "--filter", own, check=False)


Step = Callable[[Turn], None]
# Ways, their figures, and the values of all rounds; or what is left of these.
Results = dict[str, dict[str, list[float]]]
Summaries = dict[str, dict[str, dict[str, Any]]]


def measure(
    engine: Engine,
    project: Project,
    ways: Sequence[str],
    rounds: int,
    add_requirement: Edit = add_requirement,
    extra: Sequence[Step] = (),
) -> Results:
    """Measure each way in each round, so that whatever else the machine does meets all of them.

    Args:
        engine: what builds and runs.
        project: what is built; it is left as it is.
        ways: names of folders in strategies/.
        rounds: how often each way has its turn.
        add_requirement: adds a requirement to a copy of the project.
        extra: what else is to be done in each turn.

    """
    check(project)
    bases = {project.base(way) for way in ways}
    for base in bases:
        have(engine, base)
    results: Results = {way: {} for way in ways}
    with running_registry(engine, project.base(ways[0])) as registry:
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            begin = number % len(ways)
            for way in [*ways[begin:], *ways[:begin]]:
                # Sizes are exact: once is enough.
                steps = [Turn.builds, *([] if number else [Turn.sizes]), Turn.runs, *extra]
                for name, value in taken(partial(Turn, engine, registry, project, way, add_requirement), steps).items():
                    results[way].setdefault(name, []).append(value)
    return results


def taken(new_turn: Callable[[], Turn], steps: Sequence[Step]) -> dict[str, float]:
    """Let a way have its turn, and return its figures. A download that fails shall not cost all that was measured.

    Raises:
        CompareError: it fails for the third time.

    """
    attempts = 0
    while True:
        turn = new_turn()
        attempts += 1
        say(f"  {turn.way}:", end="")
        try:
            for step in steps:
                step(turn)
            return turn.figures
        except CompareError as error:
            if attempts == ATTEMPTS:
                raise
            say(f"\n{error}\n  once more", end="")
        finally:
            turn.clean()
            say("")


def have(engine: Engine, base: str) -> None:
    """Pull a base image, unless it is here."""
    if engine.docker("image", "inspect", base, check=False).returncode:
        engine.docker("pull", base)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return median, min and max."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def summarise(results: Results) -> Summaries:
    """Summarise the figures of each way, and their ratios to the first way's in the same round."""
    first = next(iter(results.values()))

    def both(name: str, values: list[float]) -> dict[str, Any]:
        told: dict[str, Any] = summary(values)
        if len(first.get(name, [])) == len(values):
            told["ratio"] = summary([own / other for own, other in zip(values, first[name], strict=True)])
        return told

    return {way: {name: both(name, values) for name, values in figures.items()} for way, figures in results.items()}


def facts(engine: Engine, base: str) -> dict[str, Any]:
    """Tell when, where and with what the figures are taken, and how busy the machine is before it starts."""
    have(engine, base)
    inside = engine.docker("run", "--rm", "--network=none", base, "python", "-c", FACTS).stdout
    told: dict[str, Any] = json.loads(inside)
    host, server = (json.loads(engine.docker(word, "--format", "json").stdout) for word in ("info", "version"))
    machine = {
        "cpu": told.pop("cpu"),
        "cpus": host["NCPU"],
        "memory": host["MemTotal"],
        "kernel": host["KernelVersion"].partition("-")[0],
    }
    buildx = engine.docker("buildx", "version", check=False).stdout.split()
    told["versions"] |= {"docker": server["Server"]["Version"], "buildx": buildx[1] if len(buildx) > 1 else "none"}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"date": date, "machine": machine, "storage": host["Driver"], "base": base, **told}


def three_digits(value: float) -> str:
    """Write a number with three digits that count, or all before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def shown(name: str, value: float) -> str:
    """Write a figure with its unit."""
    figure = FIGURES[name]
    return f"{three_digits(value * figure.factor)} {figure.unit}".strip()


def ratio_cell(_name: str, told: dict[str, Any]) -> str:
    """Write a ratio."""
    return three_digits(told["ratio"]["median"]) if "ratio" in told else ""


def figure_cell(name: str, told: dict[str, Any]) -> str:
    """Write a figure with what it varied between."""
    factor = FIGURES[name].factor
    middle, low, high = (three_digits(told[key] * factor) for key in ("median", "min", "max"))
    return middle if low == high else f"{middle} ({low} to {high})"


Cell = Callable[[str, dict[str, Any]], str]


def table(ways: Summaries, names: Sequence[str], cell: Cell) -> str:
    """Lay some figures of all ways out, in Markdown that reads as text, too."""
    heads = {name: [FIGURES[name].title, *([FIGURES[name].unit] if cell is figure_cell else [])] for name in names}
    head = ["", *(", ".join(filter(None, words)) for words in heads.values())]
    rows = [[way, *(cell(name, told[name]) if name in told else "" for name in names)] for way, told in ways.items()]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in [head, rule, *rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables(ways: Summaries, groups: dict[str, Sequence[str]] = GROUPS) -> str:
    """Lay everything out, the ratios first."""
    first = next(iter(ways))
    measured = {
        title: [name for name in names if any(name in figures for figures in ways.values())]
        for title, names in groups.items()
    }
    kinds: list[tuple[str, Cell]] = [(f"relative to {first}", ratio_cell), ("median (min to max)", figure_cell)]
    return "\n\n".join(
        f"{title}, {kind}:\n\n{table(ways, names, cell)}" for kind, cell in kinds for title, names in measured.items()
    )


def say(text: str, end: str = "\n") -> None:
    """Tell the person who waits what happens now."""
    print(text, end=end, flush=True)


def every_way() -> list[str]:
    """List the folders with a Dockerfile, the first way first."""
    return sorted((path.parent.name for path in HERE.glob("*/Dockerfile")), key=lambda way: (way != FIRST, way))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="compare", description="Build the image every way, and compare.")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each way has its turn (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"a folder in strategies/ ({', '.join(every_way())})")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and tell."""
    options = parse(arguments)
    engine = Engine({"DOCKER_BUILDKIT": "1", **os.environ})
    project = Project.at(HERE.parent)
    ways = options.ways or every_way()
    told = facts(engine, project.base(ways[0]))
    summaries = summarise(measure(engine, project, ways, options.rounds))
    say(f"\n{tables(summaries)}")
    if options.json:
        report = {**told, "rounds": options.rounds, "ways": summaries}
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    try:
        main()
    except (CompareError, OSError) as error:
        sys.exit(f"compare: {error}")
    except KeyboardInterrupt:
        sys.exit("\ncompare: interrupted")
