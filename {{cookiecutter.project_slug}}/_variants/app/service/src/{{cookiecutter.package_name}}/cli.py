"""The command line."""

import argparse
import os
import signal
from collections.abc import Sequence
from typing import Any

from . import __version__
from .command import add_crc32c, run_crc32c


class ServeHelp(argparse.Action):
    """The help of `serve`, which lists the settings."""

    def __init__(self, **options: Any) -> None:
        """Take no value."""
        super().__init__(nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_arguments: Any) -> None:
        """Print the help, and end."""
        from . import service
        from .api import app

        print(f"{parser.format_help()}\n{service.help_text(app)}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = argparse.ArgumentParser(description="Serve checksums, or print those of files.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add_crc32c(commands)

    about = "answer over HTTP until told to stop"
    serve = commands.add_parser("serve", help=about, description=about, add_help=False)
    serve.add_argument("-h", "--help", action=ServeHelp, help="show this help message and all settings, and exit")
    return parser


def serve(prog: str) -> int:
    """Run the HTTP service until SIGTERM or SIGINT.

    Returns:
        The exit status: 0, or 2 when a setting is wrong.

    """
    # Process 1 of a container ignores what it has no handler for, and the imports take a while. Where
    # they call back from C, an exception would be lost.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

    # Imported here, because `crc32c` does not need the web framework.
    from . import service
    from .api import app

    return service.run(app, prog)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after the program's name, sys.argv's when None.

    Returns:
        The exit status.

    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        if options.command == "serve":
            return serve(parser.prog)
        return run_crc32c(options, parser.prog)
    except KeyboardInterrupt:
        return 130
