"""Start an engine, and stop it when standard input is closed, because the parent process is done or was killed.

This process runs in its own session, so that Ctrl-C cannot interrupt the start or the stop. It prints an empty line
when the engine is running, or the reason why it is not.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from . import Engine, EngineUnavailable, start_and_stop


def main(home: str, *, private: bool) -> None:
    """Supervise the engine that the environment variables select."""
    try:
        with start_and_stop(Engine(dict(os.environ), private=private), Path(home)):
            report("")
            sys.stdin.read()
    except EngineUnavailable as reason:
        report(str(reason))


def report(reason: str) -> None:
    """Write a line to the parent process, if it is still running."""
    with suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), f"{reason}\n".encode())


if __name__ == "__main__":
    main(sys.argv[2], private=sys.argv[1] == "private")
