"""Check, before any file is written, that the project can be generated in the target directory.

With plain cookiecutter, local_extensions.py has already called `problem` and reported any error. Other
tools, such as cruft, do not tell the extension the target directory, so it is checked here.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

# Rendering this line validates the answers again, because answers from a replay file skip the prompts.
VALID = r"""{{ cookiecutter | validate }}"""
REQUIRED = r"""{{ cookiecutter | required | tojson }}"""

VARIANTS = "_variants"
# A marker file. With --skip-if-file-exists, cookiecutter keeps it, otherwise it replaces it; the second hook reads it.
SKIPPED = Path(VARIANTS, "skipped")


def nearest_existing(path: Path) -> Path:
    """Return the path, or its nearest existing parent."""
    return next(candidate for candidate in (path, *path.parents) if os.path.lexists(candidate))


def write_conflict(project: Path, target: str) -> str | None:
    """Return why a file cannot be written to the project, or None if it can."""
    path = project / target
    existing = nearest_existing(path)
    real = Path(os.path.realpath(existing))
    if project in (existing, *existing.parents) and not real.is_relative_to(os.path.realpath(project)):
        return f"{existing} leads outside the project, to {real}. Remove the symbolic link."
    if existing == path and not existing.is_file():
        return f"{existing} exists but is not a regular file, and the template needs to write a file there. Rename it."
    if existing != path and not existing.is_dir():
        return f"{existing} exists but is not a directory, and '{target}' needs one there. Rename it."
    if not os.access(existing, os.W_OK):
        return f"{existing} is not writable, so '{target}' cannot be written."
    return None


def problem(project: Path, targets: list[str], disk_space: int) -> str | None:
    """Return a one-line reason why the project cannot be generated here, or None.

    Args:
        project: the target directory; it need not exist.
        targets: POSIX paths of all files to write.
        disk_space: bytes that are required during generation.

    """
    if os.path.lexists(project / VARIANTS):
        return (
            f"{project / VARIANTS} already exists, but the template needs that name. Rename it, for example to "
            f"'variants', or delete it if an interrupted generation left it behind."
        )
    # _variants does not exist yet, so checking it tests that the project directory itself is writable. The other
    # targets do not test that if they all exist.
    if found := next(filter(None, (write_conflict(project, target) for target in (VARIANTS, *targets))), None):
        return found
    free = shutil.disk_usage(nearest_existing(project)).free
    if free < disk_space:
        return f"{project} needs {disk_space // 1024} kB during generation, but only {free // 1024} kB are available."
    return None


def create_marker(project: Path) -> None:
    """Create the marker file for the second hook. If cookiecutter replaces it, existing files are not skipped."""
    # A new project has no file to skip, and cookiecutter must create the directory itself.
    if any(project.iterdir()):
        (project / VARIANTS).mkdir()
        (project / SKIPPED).write_text("yes\n", "utf-8")


def main(project: Path) -> None:
    """Check the target directory, and create the marker file."""
    if found := problem(project, **json.loads(REQUIRED)):
        sys.exit(f"{found} Nothing was changed.")
    create_marker(project)


if __name__ == "__main__":
    main(Path.cwd())
