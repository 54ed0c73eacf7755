"""Compile every requirements*.in of the repository, the template's own and the shipped ones, to its lock file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
OLDEST_PYTHON = "3.11"


def sources() -> list[Path]:
    """List the files that lock files are compiled from."""
    return sorted(path for path in REPOSITORY.glob("**/requirements*.in") if ".venv" not in path.parts)


def compile_lock(source: Path, *options: str) -> None:
    """Compile one lock file beside its source, for every platform and all supported Pythons, with hashes."""
    command = ["pip", "compile", "--quiet", "--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"]
    subprocess.run(
        [sys.executable, "-m", "uv", *command, *options, source.name, "-o", source.with_suffix(".txt").name],
        cwd=source.parent,
        check=True,
    )


if __name__ == "__main__":
    for source in sources():
        compile_lock(source, "--upgrade")
        print(source.with_suffix(".txt").relative_to(REPOSITORY))
