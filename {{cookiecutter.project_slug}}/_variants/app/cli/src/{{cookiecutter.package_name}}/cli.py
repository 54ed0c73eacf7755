"""The command line."""

import argparse
import os
import sys
from collections.abc import Sequence
from io import FileIO

from . import __version__, crc32c

CHUNK_BYTES = 1 << 20


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands and options."""
    parser = argparse.ArgumentParser(description="Print checksums of files.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = commands.add_parser("crc32c", help="print the CRC-32C of each file")
    command.add_argument("names", nargs="*", default=["-"], metavar="FILE", help="'-' or no FILE: standard input")
    return parser


def print_error(message: str) -> None:
    """Print a line on stderr, unless it is closed; print() would then use stdout."""
    if sys.stderr is not None:
        print(message, file=sys.stderr)


def file_crc32c(name: str) -> int:
    """Return the CRC-32C of a file, in constant memory; the name '-' is standard input."""
    value = 0
    with FileIO(0 if name == "-" else name, closefd=name != "-") as file:
        while chunk := os.read(file.fileno(), CHUNK_BYTES):
            value = crc32c(chunk, value)
    return value


def print_checksums(names: Sequence[str], prog: str) -> int:
    """Print a line for each file that can be read, and return the exit status."""
    status = 0
    try:
        # Do not use sys.stdout: it rejects names that are not UTF-8, and flushing it at exit could fail again.
        with open(1, "w", errors="surrogateescape", closefd=False) as stdout:
            for name in names:
                try:
                    line = f"{file_crc32c(name):08x}  {name}"
                except OSError as error:
                    print_error(f"{prog}: {name}: {error.strerror}")
                    status = 1
                else:
                    print(line, file=stdout, flush=True)
    except OSError as error:
        # Print no error if the reader, such as `head`, has closed the pipe.
        if not isinstance(error, BrokenPipeError):
            print_error(f"{prog}: standard output: {error.strerror}")
        return 1
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status; the arguments are those of sys.argv by default."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        return print_checksums(options.names, parser.prog)
    except KeyboardInterrupt:
        return 130
