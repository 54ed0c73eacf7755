"""Update the lock files of the repository: its own, and those of a generated project."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.demo import TEMPLATE, generate

GENERATED = TEMPLATE / "{{cookiecutter.project_slug}}"
APPS = ("cli", "service")
COMPILE = ("pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes")


def sources() -> list[Path]:
    """List the .in files that lock files are compiled from."""
    return sorted(
        path for path in TEMPLATE.glob("**/requirements*.in") if not {".venv", ".venv-site"}.intersection(path.parts)
    )


def group_locks() -> dict[str, Path]:
    """Map each group of dependencies in a generated pyproject.toml to its lock file in the template."""
    files = (*GENERATED.glob("requirements/*.txt"), *GENERATED.glob("_variants/*/*/requirements/*.txt"))
    return {path.stem: path for path in sorted(files)}


class UvError(subprocess.CalledProcessError):
    """A uv command failed. The message contains its stderr, by which pytest recognises failures of the network."""

    def __str__(self) -> str:
        """Return the command, its exit status, and its stderr."""
        return f"{super().__str__()}\n{self.stderr}"


def uv(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Run uv, and return its output without surrounding whitespace.

    Raises:
        UvError: if it fails.

    """
    command = [sys.executable, "-m", "uv", *arguments]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if result.returncode:
        raise UvError(result.returncode, command, result.stdout, result.stderr)
    return result.stdout.strip()


def compile_lock(directory: Path, *options: str) -> None:
    """Compile one lock file in a directory, for every platform and all supported Pythons, with hashes."""
    uv(*COMPILE, *options, cwd=directory)


def compile_source(source: Path, *options: str) -> None:
    """Compile the lock file next to a source file."""
    compile_lock(source.parent, *options, source.name, "-o", source.with_suffix(".txt").name)


def compile_runtime(project: Path, *options: str) -> None:
    """Compile the lock file of the dependencies of a generated project."""
    compile_lock(project, *options, "pyproject.toml", "-o", "requirements.txt")


def compile_group(project: Path, group: str, *options: str) -> None:
    """Compile the lock file of a dependency group of a generated project, with the versions in requirements.txt."""
    compile_lock(project, *options, "--group", group, "-c", "requirements.txt", "-o", f"requirements/{group}.txt")


def copy_to_template(project: Path, name: str, target: Path) -> None:
    """Copy a lock file into the template, and replace the project's name in its comments with an expression."""
    lock = (project / name).read_text("utf-8")
    target.write_text(re.sub(r"checksum-service(?= \(pyproject)", "{{ cookiecutter.project_slug }}", lock), "utf-8")


def main() -> None:
    """Update all lock files. Generate projects first, because the groups are listed in their pyproject.toml."""
    for source in sources():
        compile_source(source, "--upgrade")
    for app in APPS:
        with tempfile.TemporaryDirectory() as directory:
            # With every group of dependencies.
            project = generate(Path(directory), f"app={app}", "strategy=all", "ci=gitlab")
            compile_runtime(project, "--upgrade")
            copy_to_template(project, "requirements.txt", GENERATED / "_variants/app" / app / "requirements.txt")
            # app=service is last, because a group locked with its dependencies is valid for both apps.
            for group, target in group_locks().items():
                if (project / "requirements" / f"{group}.txt").exists():
                    compile_group(project, group, "--upgrade")
                    copy_to_template(project, f"requirements/{group}.txt", target)


if __name__ == "__main__":
    main()
