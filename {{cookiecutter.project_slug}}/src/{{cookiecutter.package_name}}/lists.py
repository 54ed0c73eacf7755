"""Lists of checksums, as the sum tools write and check them: `xxxxxxxx  NAME` in each line."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BufferedReader, FileIO

from .checksums import Reading, sum_of
from .jobs import in_order
from .output import Output, printable

# The backslash says that the name is escaped; the star, that the file was read as it is.
LINE = re.compile(rb"[ \t]*(\\?)([0-9A-Fa-f]{8}) [ *]([^\0]+)", re.DOTALL)
ESCAPES = {b"\\": rb"\\", b"\n": rb"\n", b"\r": rb"\r"}
MEANT = {escape: char for char, escape in ESCAPES.items()}
ESCAPED = re.compile(rb"(?:[^\\]|\\[\\nr])+", re.DOTALL)

# What became of a line: (of one, of several), in the order in which they are counted at the end.
WARNINGS = {
    "improper": ("line is improperly formatted", "lines are improperly formatted"),
    "unreadable": ("listed file could not be read", "listed files could not be read"),
    "different": ("computed checksum did NOT match", "computed checksums did NOT match"),
}


class Claim(Reading):
    """A file, and the checksum that a list says it has."""

    def __init__(self, name: str, value: int) -> None:
        """Take a line's two parts."""
        super().__init__(name)
        self.value = value


def escaped(name: str) -> tuple[bytes, bytes]:
    """Return a name that fits into one line, and the backslash that begins the line if that took any."""
    raw = os.fsencode(name)
    text = re.sub(rb"[\\\n\r]", lambda found: ESCAPES[found[0]], raw)
    return b"\\" if text != raw else b"", text


def claim_of(line: bytes) -> Claim | None:
    """Read a line without its end; None when it is improperly formatted."""
    if not (found := LINE.fullmatch(line)):
        return None
    mark, digits, name = found.groups()
    if mark:
        if not ESCAPED.fullmatch(name):
            return None
        name = re.sub(rb"\\.", lambda pair: MEANT[pair[0]], name)
    return Claim(os.fsdecode(name), int(digits, 16))


def claims_of(name: str, counts: Counter[str]) -> Iterator[Claim]:
    """Read a list of checksums, line by line; lines that are improperly formatted are only counted.

    Raises:
        OSError: the list cannot be read.

    """
    stdin = name == "-"
    with BufferedReader(FileIO(0 if stdin else name, closefd=not stdin)) as lines:
        for line in lines:
            text = line.removesuffix(b"\n").removesuffix(b"\r")
            if not text or text.startswith(b"#"):
                continue
            if claim := claim_of(text):
                yield claim
            else:
                counts["improper"] += 1


def print_list(names: Sequence[str], output: Output, *, jobs: int) -> bool:
    """Print `xxxxxxxx  NAME` for each file; the name `-` is standard input.

    A file that cannot be read gives one line on stderr, and the others are still done.

    Returns:
        Whether all files could be read.

    Raises:
        OutputLostError: standard output cannot be written.

    """
    good = True
    for reading, result in in_order(sum_of, map(Reading, names), min(jobs, len(names)), output.progress):
        if isinstance(result, OSError):
            output.complain_of(reading.name, result)
            good = False
        else:
            mark, name = escaped(reading.name)
            output.line(b"%s%08x  %s" % (mark, result, name))
    return good


def check_list(name: str, output: Output, *, jobs: int, quiet: bool, status: bool, strict: bool) -> bool:
    """Check each file that a list names, and print `NAME: OK` or what else is the case.

    Args:
        name: the list, `-` for standard input.
        output: where to print.
        jobs: how many files to read at once.
        quiet: leave out those that are as they should be.
        status: print neither results nor warnings.
        strict: an improperly formatted line is a failure.

    Returns:
        Whether all files are as the list says.

    Raises:
        OutputLostError: standard output cannot be written.

    """
    counts: Counter[str] = Counter()
    try:
        for claim, result in in_order(sum_of, claims_of(name, counts), jobs, output.progress):
            counts["all"] += 1
            if isinstance(result, OSError):
                output.complain_of(claim.name, result)
                counts["unreadable"] += 1
                verdict = b"FAILED open or read"
            elif result != claim.value:
                counts["different"] += 1
                verdict = b"FAILED"
            else:
                verdict = b"OK"
            if not status and not (quiet and verdict == b"OK"):
                output.line(b"%s%s: %s" % (*escaped(claim.name), verdict))
    except OSError as error:
        output.complain_of(name, error)
        return False
    if not counts["all"]:
        output.complain(f"{printable(name)}: no properly formatted checksum lines found")
        return False
    if not status:
        warn(counts, output)
    return not (counts["unreadable"] or counts["different"] or (strict and counts["improper"]))


def warn(counts: Counter[str], output: Output) -> None:
    """Tell on standard error how many lines of a list were not as they should be."""
    for kind, (of_one, of_several) in WARNINGS.items():
        if count := counts[kind]:
            output.complain(f"WARNING: {count} {of_one if count == 1 else of_several}")
