"""The command line."""

import argparse
from collections.abc import Sequence

from . import __version__, distance


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands and options."""
    parser = argparse.ArgumentParser(description="Compare texts.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = commands.add_parser("distance", help="print the edit distance of two texts")
    command.add_argument("a")
    command.add_argument("b")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status; the arguments are those of sys.argv by default."""
    options = build_parser().parse_args(arguments)
    print(distance(options.a, options.b))
    return 0
