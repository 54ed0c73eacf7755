"""The command line."""

import argparse
from collections.abc import Sequence

from . import __version__, distance, service

APP = "acme.api:app"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands and options."""
    parser = argparse.ArgumentParser(description="Compare texts on the command line or over HTTP.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = commands.add_parser("distance", help="print the edit distance of two texts")
    command.add_argument("a")
    command.add_argument("b")
    service.add_command(commands, APP)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status; the arguments are those of sys.argv by default."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command == "serve":
        return service.run(APP, parser.prog)
    print(distance(options.a, options.b))
    return 0
