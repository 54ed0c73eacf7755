"""The command line."""

import argparse
from collections.abc import Sequence

from . import __version__
from .checksums import print_crc32c


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = argparse.ArgumentParser(description="Print checksums of files.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    crc32c = commands.add_parser("crc32c", help="print the CRC-32C of each file")
    crc32c.add_argument("names", nargs="*", default=["-"], metavar="FILE", help="'-', the default, is standard input")
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
        return print_crc32c(options.names, parser.prog)
    except KeyboardInterrupt:
        return 130
