"""The progress bar, on a terminal as the command sees one."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from unicodedata import east_asian_width

import pytest

from {{ cookiecutter.package_name }}.checksums import Reading
from {{ cookiecutter.package_name }}.output import progress_line, size_text

from .test_command import COMMAND, PACKAGE, run
from .test_jobs import interruptible, opened  # noqa: F401

termios = pytest.importorskip("termios", reason="needs a system with terminals of its kind")

# Whoever has no patience finds that every file takes long.
IMPATIENT = f"""if True:
    import sys
    from {PACKAGE} import cli, output
    output.PATIENCE_SECONDS = output.INTERVAL_SECONDS = 0
    sys.exit(cli.main())
"""
# Ctrl-C comes when the bar has just been drawn, and nothing else has happened since.
INTERRUPTED = f"""if True:
    import os, signal
    write = os.write
    def write_and_interrupt(*arguments):
        os.write = write
        write(*arguments)
        signal.raise_signal(signal.SIGINT)
    os.write = write_and_interrupt
{IMPATIENT}"""
COMMANDS = {
    "usual": [COMMAND, "crc32c"],
    "impatient": [sys.executable, "-c", IMPATIENT, "crc32c"],
    "interrupted": [sys.executable, "-c", INTERRUPTED, "crc32c"],
}


class Terminal:
    """A terminal that keeps what the command writes to it as standard error."""

    def __init__(self, columns=80):
        """Open both of its ends."""
        self.ours, self.theirs = os.openpty()
        termios.tcsetwinsize(self.theirs, (24, columns))
        self.columns = columns
        self.written = b""
        self.reader = threading.Thread(target=self.read, daemon=True)

    def read(self):
        """Keep what is written, until the end."""
        # On Linux, a terminal that nobody has open any more gives an error instead of the end.
        with suppress(OSError):
            while data := os.read(self.ours, 1 << 16):
                self.written += data

    def start(self, *arguments, how="usual", **options):
        """Start the command on this terminal."""
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, **options}
        process = subprocess.Popen([*COMMANDS[how], *arguments], stderr=self.theirs, **options)
        os.close(self.theirs)
        self.reader.start()
        return process

    def wait_for(self, text):
        """Wait until the command has written a text."""
        deadline = time.monotonic() + 30
        while text not in self.written:
            assert time.monotonic() < deadline, self.written
            time.sleep(0.01)

    def end(self, process):
        """Wait for the command to end, and return what it wrote to standard output."""
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        self.reader.join(timeout=30)
        os.close(self.ours)
        return output

    def run(self, *arguments, **options):
        """Run the command to its end, and return what it wrote to standard output."""
        return self.end(self.start(*arguments, how="impatient", **options))

    def lines(self):
        """Return what was to be seen, one after the other, in each line."""
        return [self.seen(line) for line in self.written.decode().split("\r\n")]

    def seen(self, line):
        """Return what was to be seen, one after the other, in one line."""
        states = []
        cells = [" "] * self.columns
        for part in line.split("\r"):
            new = [cell for char in part for cell in ([char, ""] if east_asian_width(char) in "FW" else [char])]
            assert len(new) < max(self.columns, 2), "the line is broken"
            cells[: len(new)] = new
            states.append("".join(cells).rstrip())
        return [state for state, _ in itertools.groupby(states)]


@pytest.fixture
def terminal():
    return Terminal()


@pytest.fixture
def large(tmp_path):
    """Make a file that is read in four steps."""
    path = tmp_path / "large"
    path.write_bytes(bytes(4 << 20))
    return path


def test_a_bar_grows_and_is_gone_before_the_result(terminal, large):
    assert terminal.run(large.name, cwd=large.parent) == run("crc32c", large.name, cwd=large.parent).stdout
    bars = [f"{25 * step:3}% [{'#' * int(7.5 * step):30}] large" for step in (1, 2, 3, 4)]
    assert terminal.lines() == [["", *bars, ""]]


def test_a_result_on_the_same_terminal_is_a_line_of_its_own(terminal, large):
    terminal.run(large.name, large.name, stdout=terminal.theirs, cwd=large.parent)
    result = run("crc32c", large.name, cwd=large.parent).stdout.decode().rstrip()
    full_bar = f"100% [{'#' * 30}] large"
    assert [line[-3:] for line in terminal.lines()] == [[full_bar, "", result]] * 2 + [[""]]


def test_a_file_that_does_not_take_long_gets_none(terminal, large):
    assert terminal.end(terminal.start(large)) == run("crc32c", large).stdout
    assert terminal.written == b""


def test_of_standard_input_only_the_rest_counts(terminal, large):
    with large.open("rb") as file:
        file.seek(2 << 20)
        assert terminal.run(stdin=file) == run("crc32c", input=bytes(2 << 20)).stdout
    bars = [f"{50 * step:3}% [{'#' * (15 * step):30}] -" for step in (1, 2)]
    assert terminal.lines() == [["", *bars, ""]]


def test_a_file_that_grows_meanwhile_stays_at_its_end():
    reading = Reading("name")
    reading.size, reading.done = 100, 300
    assert progress_line(reading, 79) == f"100% [{'#' * 30}] name"


@pytest.mark.parametrize(("columns", "seen"), [(60, "100% large"), (9, "100% rge"), (4, "100"), (1, "")])
def test_a_narrow_terminal_gets_what_fits(large, columns, seen):
    terminal = Terminal(columns)
    terminal.run(large.name, cwd=large.parent)
    (states,) = terminal.lines()
    assert states[-2:] == [seen, ""] if seen else states == [""]


def test_a_terminal_that_does_not_know_its_width_is_taken_as_usual(large):
    terminal = Terminal(0)
    terminal.run(large.name, cwd=large.parent)
    terminal.columns = 80
    assert terminal.lines()[0][-2] == f"100% [{'#' * 30}] large"


@pytest.mark.parametrize(
    ("name", "seen"),
    [("\x1b[2J\a\n\x7f\x9b", r"\x1b[2J\x07\n\x7f\x9b"), ("\u202eright to left", r"\u202eright to left")],
)
def test_a_terminal_does_not_obey_a_name(terminal, large, name, seen):
    large.rename(large.parent / name)
    terminal.run(name, cwd=large.parent)
    assert terminal.lines()[0][-2:] == [f"100% [{'#' * 30}] {seen}", ""]


@pytest.mark.skipif(sys.platform == "darwin", reason="needs a file system that takes any name")
def test_a_name_that_is_not_utf8_is_shown(terminal, large):
    large.rename(large.parent / "\udcff")
    terminal.run(b"\xff", cwd=large.parent)
    assert terminal.lines()[0][-2:] == [rf"100% [{'#' * 30}] \udcff", ""]


@pytest.mark.parametrize("columns", [79, 80, 81])
def test_a_long_name_of_wide_letters_does_not_break_the_line(large, columns):
    terminal = Terminal(columns)
    large.rename(large.parent / ("\u6587" * 60))
    terminal.run("\u6587" * 60, cwd=large.parent)
    *_, bar, nothing = terminal.lines()[0]
    assert bar == f"100% [{'#' * 30}] " + "\u6587" * ((columns - 1 - 38) // 2)
    assert nothing == ""


def test_a_pipe_shows_the_bytes_that_were_read(terminal):
    process = terminal.start()
    sent = 0
    while b"kB -" not in terminal.written:
        assert sent < 1_000_000, "there is no bar"
        sent += process.stdin.write(bytes(1500))
        process.stdin.flush()
        time.sleep(0.05)
    assert terminal.end(process) == run("crc32c", input=bytes(sent)).stdout
    assert terminal.lines()[0][-1] == ""


def test_of_several_files_the_one_that_is_waited_for_is_shown(terminal, large, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    process = terminal.start("--jobs", "2", "fifo", large, how="impatient", cwd=tmp_path)
    with opened(tmp_path / "fifo") as writer:
        writer.write(b"123456789")
        terminal.wait_for(b"9 B fifo")
    assert terminal.end(process).startswith(b"e3069283  fifo\n")
    assert terminal.lines()[0][-1] == ""


def test_a_bar_is_gone_before_a_complaint(terminal):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, b"123456789")
    assert terminal.run(stdin=reading) == b""
    os.close(reading)
    os.close(writing)
    bar, nothing, complaint = terminal.lines()[0][-3:]
    assert (bar, nothing) == ("9 B -", "")
    assert complaint.endswith(": -: Resource temporarily unavailable")


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interruption_removes_the_bar(terminal, tmp_path, jobs):
    (tmp_path / "endless").symlink_to("/dev/zero")
    process = terminal.start("--jobs", jobs, "endless", "endless", cwd=tmp_path)
    terminal.wait_for(b"endless")
    process.send_signal(signal.SIGINT)
    assert terminal.end(process) == b""
    assert process.returncode == 130
    bar, nothing = terminal.lines()[0][-2:]
    assert bar.endswith("B endless")
    assert nothing == ""


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_removes_a_bar_that_was_only_just_drawn(terminal, large):
    process = terminal.start(large, how="interrupted")
    assert terminal.end(process) == b""
    assert process.returncode == 130
    bar, nothing = terminal.lines()[0][-2:]
    assert bar.endswith(large.name)
    assert nothing == ""


def test_a_dumb_terminal_gets_none(terminal, large):
    terminal.run(large, env={**os.environ, "TERM": "dumb"})
    assert terminal.written == b""


def test_what_is_no_terminal_gets_none(large):
    result = subprocess.run([*COMMANDS["impatient"], large], capture_output=True, check=True)
    assert result.stderr == b""


def test_what_somebody_types_is_not_overwritten(terminal):
    ours, theirs = os.openpty()
    process = terminal.start(how="impatient", stdin=theirs)
    os.close(theirs)
    os.write(ours, b"123456789\n\x04")
    assert terminal.end(process) == run("crc32c", input=b"123456789\n").stdout
    os.close(ours)
    assert terminal.written == b""


def test_a_terminal_that_goes_away_does_not_matter():
    ours, theirs = os.openpty()
    with subprocess.Popen(
        COMMANDS["impatient"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        process.stdin.write(b"12345")
        process.stdin.flush()
        assert os.read(ours, 100)
        os.close(ours)
        assert process.communicate(b"6789", timeout=60)[0] == b"e3069283  -\n"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (12_345_678_901, "12.3 GB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_sizes_are_written_for_people(size, text):
    assert size_text(size) == text
