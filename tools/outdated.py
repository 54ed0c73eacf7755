"""List the pinned hooks, actions and tools that have a newer version: `python -m tools.outdated`.

Dependabot updates the template's own workflow and test dependencies, but no file that the template generates.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Versions in other forms, such as 2.0rc1 or an action's floating v2, are not releases to pin.
VERSION = re.compile(r"v?\d+(?:\.\d+)+")


@dataclass(frozen=True, order=True)
class Pin:
    """A pinned version of a GitHub repository, such as `owner/name`, or of a package on PyPI."""

    name: str
    version: str
    file: str


PINS = [
    re.compile(r"repo: https://github\.com/(?P<name>\S+)\n +rev: (?:[0-9a-f]{40}  # frozen: )?(?P<version>\S+)"),
    re.compile(r"uses: (?P<name>[\w.-]+/[\w.-]+)\S*@[0-9a-f]{40} # (?P<version>\S+)"),
    re.compile(r"(?<![\w-])(?P<name>[a-z][\w-]*)==(?P<version>[\d.]+)"),
    # An image that has the same name as its repository on GitHub.
    re.compile(r"(?P<name>[\w-]+/[\w-]+):(?P<version>v[\d.]+)@sha256:"),
]


def find_pins(repository: Path) -> list[Pin]:
    """Return all pins in the YAML files of a repository."""
    listing = run("git", "-C", str(repository), "ls-files", "-z", "*.yml", "*.yaml")
    texts = {name: (repository / name).read_text("utf-8") for name in listing.split("\0") if name}
    found = ((name, match) for name, text in texts.items() for pattern in PINS for match in pattern.finditer(text))
    return sorted({Pin(**match.groupdict(), file=name) for name, match in found})


def newest(name: str) -> str:
    """Return the newest version of a repository or package."""
    if "/" in name:
        text = run("git", "ls-remote", "--tags", "--refs", f"https://github.com/{name}")
        versions: list[str] = [tag for tag in re.findall(r"refs/tags/(\S+)", text) if VERSION.fullmatch(tag)]
    else:
        versions = re.findall(r"^\S+ \((\S+)\)", run(sys.executable, "-m", "pip", "index", "versions", name))
    if not versions:
        raise ValueError(f"{name} has no release")
    return max(versions, key=lambda version: [int(number) for number in re.findall(r"\d+", version)])


def run(*command: str) -> str:
    """Run a command, and return its output."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Print a line for each outdated pin; if there is one, exit with status 1."""
    pins = find_pins(Path.cwd())
    versions = {name: newest(name) for name in {pin.name for pin in pins}}
    lines = [f"{pin.file}: {pin.name} {pin.version}, newest: {versions[pin.name]}" for pin in pins]
    outdated = [line for line, pin in zip(lines, pins, strict=True) if pin.version != versions[pin.name]]
    print(*outdated, sep="\n", end="\n" if outdated else "")
    sys.exit(bool(outdated))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"outdated: '{' '.join(error.cmd)}' failed: {error.stderr.strip().splitlines()[-1]}")
    except ValueError as error:
        sys.exit(f"outdated: {error}")
