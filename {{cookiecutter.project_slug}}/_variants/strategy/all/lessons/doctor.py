"""Check whether the lessons can be built on this host: `python lessons/doctor.py`.

Prints a line for each check, until one fails; the exit status is then 1. A warning concerns only some lessons.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = (3, 11)
DOCKER = (23, 0)
# The images and caches of all lessons need less than half of this.
FREE_GB = 3
FREE_BYTES = "import shutil; print(shutil.disk_usage('/').free)"


class CheckError(Exception):
    """A lesson cannot be built; the message says what to do."""


class UnsupportedError(Exception):
    """Some lesson needs an additional step; the message says which."""


def docker(*arguments: str) -> str:
    """Run docker, and return its output.

    Raises:
        CheckError: if docker fails or is not installed.

    """
    try:
        process = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise CheckError("not found; install it: https://docs.docker.com/get-started/get-docker/") from None
    if process.returncode != 0:
        lines = [line for line in process.stderr.splitlines() if line and not line.startswith(("Run 'docker", "See '"))]
        raise CheckError(lines[-1].removeprefix("docker: ") if lines else f"status {process.returncode}")
    return process.stdout.strip()


def version(text: str) -> tuple[int, ...]:
    """Return the first two numbers of a version."""
    return tuple(map(int, re.findall(r"\d+", text)[:2]))


def check_system() -> str:
    """Return the operating system, and reject Windows without WSL."""
    if sys.platform == "win32":
        raise CheckError("Windows has no make or sh; use WSL: https://learn.microsoft.com/windows/wsl/install")
    wsl = " in WSL" if "microsoft" in platform.release().lower() else ""
    return f"{platform.system()}{wsl} on {platform.machine()}"


def check_python() -> str:
    """Return the version of Python."""
    if sys.version_info < PYTHON:
        raise CheckError(
            f"{platform.python_version()} is too old; the lessons need at least 3.11. "
            "For example, run `make doctor PYTHON=python3.11`"
        )
    return platform.python_version()


def check_engine() -> str:
    """Return the version and platform of the engine."""
    server = json.loads(docker("version", "--format", "json"))["Server"]
    if version(server["Version"]) < DOCKER:
        raise CheckError(f"{server['Version']} is too old; the lessons need at least 23.0")
    return f"{server['Version']}, {server['Os']}/{server['Arch']}"


def check_buildx() -> str:
    """Return the version of buildx, which `docker build` runs."""
    found = re.search(r"\bv?(\d+\.\d+\S*)", docker("buildx", "version"))
    return found[1] if found else "unknown version"


def check_image_store() -> str:
    """Check that the engine can export caches and save layers of several images."""
    if "io.containerd.snapshotter" not in docker("info", "--format", "json"):
        raise UnsupportedError("the classic image store cannot export caches; lesson 8 explains what to do")
    return "containerd"


def check_base_image() -> str:
    """Run a container from the lessons' base image, which is pulled if it is missing, and check the disk space."""
    (name,) = set(re.findall(r"^ARG BASE=(\S+)", (HERE / "04-virtualenv/Dockerfile").read_text("utf-8"), re.MULTILINE))
    free = int(docker("run", "--rm", "--network=none", name, "python", "-c", FREE_BYTES)) / 1e9
    if free < FREE_GB:
        raise CheckError(
            f"{free:.1f} GB of disk space are available; the lessons need {FREE_GB} GB. "
            "To remove unused data, run `docker system prune`"
        )
    return f"{name}, {free:.0f} GB of disk space available"


CHECKS: dict[str, Callable[[], str]] = {
    "system": check_system,
    "Python": check_python,
    "Docker engine": check_engine,
    "buildx": check_buildx,
    "image store": check_image_store,
    "base image": check_base_image,
}


def main() -> int:
    """Print the result of each check, and return the exit status."""
    for name, check in CHECKS.items():
        try:
            state, text = "ok", check()
        except UnsupportedError as warning:
            state, text = "warning", str(warning)
        except CheckError as failure:
            print(f"failed   {name}: {failure}")
            return 1
        print(f"{state:8} {name}: {text}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
