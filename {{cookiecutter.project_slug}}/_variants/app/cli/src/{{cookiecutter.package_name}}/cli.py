"""The command line."""

import argparse
from collections.abc import Sequence

from . import __version__
from .command import add_crc32c, run_crc32c


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = argparse.ArgumentParser(description="Print checksums of files.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add_crc32c(commands)
    return parser


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
        return run_crc32c(options, parser.prog)
    except KeyboardInterrupt:
        return 130
