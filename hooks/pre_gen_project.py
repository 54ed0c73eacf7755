"""Stop before the first file when the target cannot take the project.

The template's extension asks `problem` first, where cookiecutter tells it the target: what it refuses is
one sentence. Other callers, cruft for one, come here unasked.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

# Rendering this line checks the answers again: a replay file does not pass the questions.
CHECKED = r"""{{ cookiecutter | checked }}"""
NEEDS = r"""{{ cookiecutter | needs | tojson }}"""

VARIANTS = "_variants"
# Cookiecutter leaves a file that it is told to skip as it is: what it makes of this one tells the next hook.
SKIPPED = Path(VARIANTS, "skipped")


def nearest(path: Path) -> Path:
    """Return the path itself, or the first of its parents that is there."""
    return next(place for place in (path, *path.parents) if os.path.lexists(place))


def in_the_way(project: Path, target: str) -> str | None:
    """Say what keeps a file from its place in the project, or return None."""
    path = project / target
    place = nearest(path)
    real = Path(os.path.realpath(place))
    if project in (place, *place.parents) and not real.is_relative_to(os.path.realpath(project)):
        return f"{place} leads out of the project, to {real}, where '{target}' would be written: remove the link."
    if place == path and not place.is_file():
        return f"{place} is not a file, as the one that the template writes there: rename yours."
    if place != path and not place.is_dir():
        return f"{place} is not a folder, as '{target}' needs it: rename yours."
    if not os.access(place, os.W_OK):
        return f"{place} cannot be written to, as '{target}' needs it."
    return None


def problem(project: Path, targets: list[str], room: int) -> str | None:
    """Say in one sentence why the project cannot be generated here, or return None.

    Args:
        project: where it is to be; need not exist.
        targets: POSIX paths of all its files.
        room: bytes that it needs while it is generated.

    """
    if os.path.lexists(project / VARIANTS):
        return (
            f"{project / VARIANTS} exists already, and the template needs this name for itself: rename yours, "
            f"for example to 'variants', or remove what a generation left that was interrupted."
        )
    # The folder of variants stands for the project itself, in which every file may exist.
    if found := next(filter(None, (in_the_way(project, target) for target in (VARIANTS, *targets))), None):
        return found
    free = shutil.disk_usage(nearest(project)).free
    if free < room:
        return f"{project} needs {room // 1024} kB while it is generated, and its disk has {free // 1024} kB left."
    return None


def mark_skipped(project: Path) -> None:
    """Tell the next hook that files are skipped, unless cookiecutter overwrites it: that means they are not."""
    # In a new project there is nothing to skip, and cookiecutter wants to make the folder itself.
    if any(project.iterdir()):
        (project / VARIANTS).mkdir()
        (project / SKIPPED).write_text("yes\n", "utf-8")


def main(project: Path) -> None:
    """Refuse the target, or prepare it."""
    if found := problem(project, **json.loads(NEEDS)):
        sys.exit(f"{found} Nothing was changed.")
    mark_skipped(project)


if __name__ == "__main__":
    main(Path.cwd())
