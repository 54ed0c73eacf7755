"""Report how much each package adds to the app=service image, compared with app=cli: `python -m tools.sizes`.

Both are built with strategy=venv. An engine reports the size of a layer either as the bytes of its files or as the disk
blocks of its files and directories; both are computed here, and the total uses whichever the engine uses.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.demo import build, generate, log
from tools.engine import DockerError, Engine, EngineUnavailable, running_engine

OTHER = "other files"

# For each distribution in the virtualenv, print the bytes and disk blocks of its files, including bytecode.
COUNT = """
import importlib.util, json, os, sys, sysconfig
from importlib.metadata import distributions

owners = {}
for each in distributions():
    for file in each.files:
        path = os.path.realpath(each.locate_file(file))
        owners[path] = each.name
        if path.endswith(".py"):
            owners[importlib.util.cache_from_source(path)] = each.name
sizes = {}
for directory, directories, files in os.walk(sys.prefix):
    for name in [".", *files]:
        path = os.path.normpath(os.path.join(directory, name))
        status = os.lstat(path)
        counted = sizes.setdefault(owners.get(path, ""), [0, 0])
        counted[0] += 0 if name == "." else status.st_size
        counted[1] += status.st_blocks * 512
for directory, directories, files in os.walk(sysconfig.get_path("stdlib")):
    directories[:] = [name for name in directories if name not in ("site-packages", "dist-packages")]
    for name in files:
        if name.endswith(".pyc"):
            status = os.stat(os.path.join(directory, name))
            counted = sizes.setdefault("standard-library", [0, 0])
            counted[0] += status.st_size
            counted[1] += status.st_blocks * 512
print(json.dumps(sizes))
"""

Sizes = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Row:
    """The size that one distribution adds to the image."""

    name: str
    size: int
    required_by: str


def sizes(engine: Engine, tag: str) -> Sizes:
    """Return the bytes and disk bytes of each distribution in an image; '' means files of no distribution."""
    counted = engine.docker("run", "--rm", "--network=none", tag, "python", "-c", COUNT).stdout
    return {name: (size, blocks) for name, (size, blocks) in json.loads(counted).items()}


def layer_sizes(engine: Engine, tag: str) -> list[int]:
    """Return the sizes of an image's layers in bytes, as reported by its engine, starting with those of its base."""
    history = engine.docker("history", "--human=false", "--format", "{{.Size}}", tag).stdout
    return [int(size) for size in reversed(history.split()) if int(size)]


def counts_blocks(engine: Engine) -> bool:
    """Return whether the engine counts disk blocks, as the containerd image store does, instead of bytes."""
    return "io.containerd.snapshotter" in engine.docker("info", "--format", "{{.DriverStatus}}").stdout


def normalise_name(name: str) -> str:
    """Return the normalised name of a distribution, as used in lock files."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required_by(lock: str) -> dict[str, set[str]]:
    """Map each distribution to the direct dependencies that require it, using uv's comments in a lock file."""
    requirers: dict[str, set[str]] = {}
    for block in re.split(r"\n(?=\S)", lock):
        name, pinned, _ = block.partition("==")
        if pinned:
            requirers[name] = set(re.findall(r"^ +#(?: via)? +(\S.*)$", block, re.MULTILINE)) - {"via"}

    def roots(name: str) -> set[str]:
        own = {name} if any("(pyproject.toml)" in each for each in requirers[name]) else set()
        return own.union(*(roots(each) for each in requirers[name] if each in requirers))

    return {name: roots(name) for name in requirers}


def added_sizes(engine: Engine, service: str, cli: str, lock: str) -> list[Row]:
    """List what the service adds to the image of the command-line tool, largest first."""
    unit = 1 if counts_blocks(engine) else 0
    more, less = sizes(engine, service), sizes(engine, cli)
    requirers = required_by(lock)
    rows = [
        Row(
            normalise_name(name),
            size[unit] - less.get(name, (0, 0))[unit],
            ", ".join(sorted(requirers.get(normalise_name(name), []))),
        )
        for name, size in more.items()
    ]
    return sorted(rows, key=lambda row: row.size, reverse=True)


def table(rows: list[Row], difference: int) -> str:
    """Format the rows, their sum, and the difference between the images."""
    total = sum(row.size for row in rows)
    lines = [f"{'MB':>7} {'share':>6}  {'package':22} required by"]
    lines += [
        f"{row.size / 1e6:7.2f} {row.size / total:6.1%}  {row.name or OTHER:22} {row.required_by}" for row in rows
    ]
    lines += [f"{total / 1e6:7.2f}         sum", f"{difference / 1e6:7.2f}         difference of the two images"]
    return "\n".join(line.rstrip() for line in lines)


def main() -> None:
    """Build both images, and print the comparison."""
    with tempfile.TemporaryDirectory() as directory, running_engine() as engine:
        projects = {}
        for app in ("service", "cli"):
            (Path(directory) / app).mkdir()
            projects[app] = generate(Path(directory) / app, f"app={app}", "strategy=venv")
            build(engine, projects[app], f"sizes-{app}")
        lock = (projects["service"] / "requirements.txt").read_text("utf-8")
        rows = added_sizes(engine, "sizes-service", "sizes-cli", lock)
        difference = sum(layer_sizes(engine, "sizes-service")) - sum(layer_sizes(engine, "sizes-cli"))
    log(f"\nSize that app=service adds to the image of app=cli:\n\n{table(rows, difference)}")


if __name__ == "__main__":
    try:
        main()
    except (DockerError, EngineUnavailable, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"sizes: {error}")
