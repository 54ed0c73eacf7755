"""Checksums of files."""

import errno
import os
import stat
import time
from collections.abc import Callable
from io import FileIO
from typing import TypeVar

from . import crc32c

CHUNK_BYTES = 1 << 20


class Reading:
    """A file that is to be read, and how far that has come."""

    def __init__(self, name: str) -> None:
        """Begin with the name alone; `-` is standard input."""
        self.name = name
        self.size = 0
        """How many bytes there are to read, 0 when that is not known."""
        self.done = 0
        """How many bytes have been read."""
        self.started = float("inf")
        """When that began, in seconds of time.monotonic()."""

    def open(self) -> FileIO:
        """Open the file, unbuffered, and note what is known of it.

        Raises:
            OSError: the file cannot be opened.

        """
        stdin = self.name == "-"
        file = FileIO(0 if stdin else self.name, closefd=not stdin)
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            self.size = max(0, status.st_size - (file.tell() if stdin else 0))
        # Whoever types the bytes knows how many they are: that never starts.
        if not (stat.S_ISCHR(status.st_mode) and file.isatty()):
            self.started = time.monotonic()
        return file


AnyReading = TypeVar("AnyReading", bound=Reading)


def crc32c_of(file: FileIO, advance: Callable[[int], None]) -> int:
    """Return the CRC-32C of what is left in an unbuffered file, in constant memory.

    Args:
        file: what to read.
        advance: called with the number of bytes of each chunk.

    Raises:
        OSError: the file cannot be read.

    """
    buffer = memoryview(bytearray(CHUNK_BYTES))
    value = 0
    while size := file.readinto(buffer):
        value = crc32c(buffer[:size], value)
        advance(size)
    # Not the end of the file: somebody made the pipe one that does not wait.
    if size is None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return value


def sum_of(reading: AnyReading, notice: Callable[[AnyReading], None]) -> int | OSError:
    """Return the CRC-32C of a file, or why it cannot be read.

    Args:
        reading: the file, and where to note how far it has come.
        notice: called with it after each chunk.

    """

    def advance(size: int) -> None:
        reading.done += size
        notice(reading)

    try:
        with reading.open() as file:
            return crc32c_of(file, advance)
    except OSError as error:
        return error
