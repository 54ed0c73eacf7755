"""Stop before the first file when the target cannot take the project."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Rendering this line checks the answers again: a replay file does not pass the questions.
CHECKED = r"""{{ cookiecutter | checked | tojson }}"""

VARIANTS = "_variants"


def problem(project: Path) -> str | None:
    """Say in one sentence why the project cannot be generated here, or return None."""
    if os.path.lexists(project / VARIANTS):
        return (
            f"{project / VARIANTS} exists already: the template needs this name for itself "
            f"and removes it at the end; rename yours, for example to 'variants'."
        )
    return None


if __name__ == "__main__":
    sys.exit(problem(Path.cwd()))
