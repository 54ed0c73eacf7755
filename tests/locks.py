"""Compile the lock files of the repository, its own and those it ships, from what they lock."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
SHIPPED = REPOSITORY / "{{cookiecutter.project_slug}}"
GROUPS = ("test", "dev")
COMPILE = ("pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes")


def sources() -> list[Path]:
    """List the files that lock files are compiled from."""
    return sorted(path for path in REPOSITORY.glob("**/requirements*.in") if ".venv" not in path.parts)


def compile_lock(folder: Path, *options: str) -> None:
    """Compile one lock file in a folder, for every platform and all supported Pythons, with hashes."""
    subprocess.run([sys.executable, "-m", "uv", *COMPILE, *options], cwd=folder, check=True)


def compile_source(source: Path, *options: str) -> None:
    """Compile the lock file beside a source."""
    compile_lock(source.parent, *options, source.name, "-o", source.with_suffix(".txt").name)


def compile_group(project: Path, group: str, *options: str) -> None:
    """Compile the lock file of a dependency group of a generated project."""
    compile_lock(project, *options, "--group", group, "-c", "requirements.txt", "-o", f"requirements-{group}.txt")


def main() -> None:
    """Renew all of them. The groups stand in a file that has to be generated first."""
    for source in sources():
        compile_source(source, "--upgrade")
    with tempfile.TemporaryDirectory() as folder:
        generate = [sys.executable, "-m", "cookiecutter", "--default-config", "--no-input", "--output-dir", folder]
        subprocess.run([*generate, str(REPOSITORY)], check=True, stdout=subprocess.DEVNULL)
        (project,) = Path(folder).iterdir()
        for group in GROUPS:
            compile_group(project, group, "--upgrade")
            shutil.copy(project / f"requirements-{group}.txt", SHIPPED)


if __name__ == "__main__":
    main()
