"""What the command prints: lines, complaints, and a progress bar that is gone before either."""

import os
import sys
import time
from contextlib import suppress
from unicodedata import east_asian_width

from .checksums import Reading

PATIENCE_SECONDS = 0.7
"""How long a file may take before a bar shows how far it has come."""
INTERVAL_SECONDS = 0.1
"""How long a bar stays as it is, so that drawing costs nothing."""
BAR_COLUMNS = 30
USUAL_COLUMNS = 80


class OutputLostError(Exception):
    """Nothing more can be written to standard output; if there was anything to say, it was said."""


class Output:
    """Standard output and standard error of one command."""

    def __init__(self, prog: str) -> None:
        """Begin with nothing shown.

        Args:
            prog: the program's name, which begins each complaint.

        """
        self.prog = prog
        self.due = 0.0 if is_terminal() else float("inf")
        self.shown_columns = 0

    def line(self, text: bytes) -> None:
        """Print a line, as bytes because a name need not be valid text.

        Raises:
            OutputLostError: it cannot be written.

        """
        self.clear()
        if sys.stdout is None:
            self.complain("standard output: it is closed")
            raise OutputLostError
        try:
            sys.stdout.buffer.write(text + b"\n")
            sys.stdout.flush()
        except OSError as error:
            # A reader that has gone, as with `| head -1`, needs no message. A full disk does.
            if not isinstance(error, BrokenPipeError):
                self.complain(f"standard output: {error.strerror}")
            # What is left in the buffer must not fail once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise OutputLostError from None

    def complain(self, text: str) -> None:
        """Print a line on standard error."""
        self.clear()
        # For print, None is standard output.
        if sys.stderr is not None:
            print(f"{self.prog}: {text}", file=sys.stderr)

    def complain_of(self, name: str, error: OSError) -> None:
        """Say on standard error why a file cannot be read."""
        self.complain(f"{printable(name)}: {error.strerror}")

    def progress(self, reading: Reading) -> None:
        """Show how far a file has come, when it takes long and standard error is a terminal."""
        now = time.monotonic()
        if now < self.due or now < reading.started + PATIENCE_SECONDS:
            return
        self.due = now + INTERVAL_SECONDS
        # The last column stays free: some terminals go to the next line when it is filled.
        text = progress_line(reading, terminal_columns() - 1)
        columns, before = columns_of(text), self.shown_columns
        # Noted before it is drawn: Ctrl-C may come in between, and then the bar is removed.
        self.shown_columns = max(columns, before)
        self.draw(text + " " * (before - columns))
        self.shown_columns = columns

    def clear(self) -> None:
        """Remove the progress bar, if there is one."""
        if self.shown_columns:
            self.draw(" " * min(self.shown_columns, terminal_columns() - 1) + "\r")
            self.shown_columns = 0

    def draw(self, text: str) -> None:
        """Write over the line of the terminal that the cursor is in."""
        # A terminal that is gone is no reason to stop.
        with suppress(OSError):
            os.write(sys.stderr.fileno(), f"\r{text}".encode(sys.stderr.encoding, "replace"))


def is_terminal() -> bool:
    """Tell whether standard error is a terminal on which the cursor can go back."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def terminal_columns() -> int:
    """Return the width of the terminal on standard error."""
    with suppress(OSError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or USUAL_COLUMNS
    return USUAL_COLUMNS


def progress_line(reading: Reading, columns: int) -> str:
    """Write how far a file has come, in at most so many columns; a long name loses its beginning."""
    if not reading.size:
        begin = f"{size_text(reading.done)} "
    else:
        part = min(1.0, reading.done / reading.size)
        begin = f"{int(100 * part):3}% "
        if columns >= 2 * BAR_COLUMNS:
            begin += f"[{'#' * int(part * BAR_COLUMNS):{BAR_COLUMNS}}] "
    return begin[:columns] + last_columns(printable(reading.name), columns - len(begin))


def size_text(size: int) -> str:
    """Write a number of bytes for people: 999 B, 1.0 kB, 12.3 GB."""
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.95:
            break
        value, unit = value / 1000, larger
    return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"


def printable(name: str) -> str:
    """Write a name so that a terminal shows it and does not obey it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)


def columns_of(text: str) -> int:
    """Tell how many columns of a terminal a printable text takes, at most."""
    return sum(2 if east_asian_width(char) in "AFW" else 1 for char in text)


def last_columns(text: str, columns: int) -> str:
    """Cut off the beginning of a printable text that takes more columns."""
    text = text[max(0, len(text) - columns) :]
    while text and columns_of(text) > columns:
        text = text[1:]
    return text
