"""Tell which steps of a build were cached: `docker build ... 2>&1 | python3 lessons/steps.py`."""

from __future__ import annotations

import re
import sys

# BuildKit writes "#12 [stage 3/8] RUN ..." when a step begins, and "#12 CACHED" when it need not run.
STEP = re.compile(r"^#(\d+) \[(\S+) (\d+)/\d+\] ((?!FROM ).*)$", re.MULTILINE)
WIDTH = 90


def steps(log: str) -> list[str]:
    """Write a line for each step, by stage, in the order of the Dockerfile."""
    found = {(stage, int(place)): (number, command) for number, stage, place, command in STEP.findall(log)}
    cached = set(re.findall(r"^#(\d+) CACHED$", log, re.MULTILINE))
    return [
        f"{'CACHED' if number in cached else 'run   '}  {stage}: {' '.join(command.split())}"[:WIDTH].rstrip()
        for (stage, _), (number, command) in sorted(found.items())
    ]


def main() -> None:
    """Read a log, and show its steps; a log that tells of an error is shown as it is."""
    log = sys.stdin.read()
    if "\nERROR: " in log:
        sys.exit(log)
    print("\n".join(steps(log)))


if __name__ == "__main__":
    main()
