"""List the steps of a build and whether each was cached: `docker build ... 2>&1 | python3 lessons/build_steps.py`."""

from __future__ import annotations

import re
import sys

# BuildKit writes "#12 [stage 3/8] RUN ..." when a step begins, and "#12 CACHED" if it was cached.
STEP = re.compile(r"^#(\d+) \[(\S+) (\d+)/\d+\] ((?!FROM ).*)$", re.MULTILINE)
WIDTH = 90


def format_steps(log: str) -> list[str]:
    """Return a line for each step, by stage, in the order of the Dockerfile."""
    found = {(stage, int(place)): (number, command) for number, stage, place, command in STEP.findall(log)}
    cached = set(re.findall(r"^#(\d+) CACHED$", log, re.MULTILINE))
    return [
        f"{'CACHED' if number in cached else 'run   '}  {stage}: {' '.join(command.split())}"[:WIDTH].rstrip()
        for (stage, _), (number, command) in sorted(found.items())
    ]


def main() -> None:
    """Read a log, and print its steps. If the build failed, print the whole log."""
    log = sys.stdin.read()
    if "\nERROR: " in log:
        sys.exit(log)
    print("\n".join(format_steps(log)))


if __name__ == "__main__":
    main()
