"""Run a command with the engine of the tests: `python -m tools.engine COMMAND ...`, for example `bash`.

Without a command, print the version of the engine.
"""

from __future__ import annotations

import signal
import subprocess
import sys

from . import DockerError, EngineUnavailable, running_engine


def main(arguments: list[str]) -> int:
    """Return the exit status of the command, or 1 if there is no engine."""
    if arguments in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    try:
        with running_engine() as engine:
            if arguments:
                # Leave Ctrl-C to the command; the engine is stopped afterwards.
                signal.signal(signal.SIGINT, lambda *_: None)
                return subprocess.run(arguments, check=False, env=engine.environment).returncode
            print(engine.docker("version", "--format", "{{.Server.Version}}").stdout.strip())
    except (EngineUnavailable, DockerError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
