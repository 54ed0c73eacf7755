"""Checksums of files, printed as the sum tools print them."""

import os
import sys
from collections.abc import Sequence
from io import FileIO

from . import crc32c

CHUNK_BYTES = 1 << 20


def crc32c_of(file: FileIO) -> int:
    """Return the CRC-32C of what is left in an unbuffered file, in constant memory.

    Raises:
        OSError: the file cannot be read.

    """
    buffer = memoryview(bytearray(CHUNK_BYTES))
    value = 0
    while size := file.readinto(buffer):
        value = crc32c(buffer[:size], value)
    return value


def print_crc32c(names: Sequence[str], prog: str) -> int:
    """Print `xxxxxxxx  NAME` for each file; the name `-` is standard input.

    A file that cannot be read gives one line on stderr, and the others are still done.

    Returns:
        The exit status: 0, or 1 when a file could not be read or the output not be written.

    """
    status = 0
    for name in names:
        stdin = name == "-"
        try:
            with FileIO(0 if stdin else name, closefd=not stdin) as file:
                value = crc32c_of(file)
        except OSError as error:
            print(f"{prog}: {name}: {error.strerror}", file=sys.stderr)
            status = 1
            continue
        try:
            # As bytes, because a name need not be valid text.
            sys.stdout.buffer.write(b"%08x  %s\n" % (value, os.fsencode(name)))
            sys.stdout.flush()
        except OSError as error:
            # A reader that has gone, as with `| head -1`, needs no message. A full disk does.
            if not isinstance(error, BrokenPipeError):
                print(f"{prog}: standard output: {error.strerror}", file=sys.stderr)
            # What is left in the buffer must not fail once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
    return status
