"""`crc32c --jobs`: several files at once, printed in their order, ended at once by Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from {{ cookiecutter.package_name }} import command, jobs

from .test_command import COMMAND, PACKAGE, run

PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


@pytest.fixture
def interruptible():
    """Have processes heed SIGINT, also when whoever runs the tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def start():
    """Start the command; what still runs after the test is killed."""
    processes = []

    def start(*arguments):
        processes.append(subprocess.Popen([COMMAND, "crc32c", *arguments], **PIPES))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def fifos(tmp_path):
    paths = [tmp_path / f"fifo{number}" for number in range(3)]
    for path in paths:
        os.mkfifo(path)
    return paths


def opened(fifo):
    """Open a FIFO for writing as soon as somebody reads it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError):
            return os.fdopen(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0)
        time.sleep(0.01)
    return pytest.fail("nobody reads it")


@pytest.fixture
def digits(tmp_path):
    path = tmp_path / "digits"
    path.write_bytes(b"123456789")
    return path


def test_files_are_read_at_once_and_printed_in_order(start, digits, fifos):
    process = start("--jobs", "3", digits, *fifos, digits)
    # Printed while the next one is still being read.
    assert process.stdout.readline() == f"e3069283  {digits}\n".encode()
    writers = [opened(fifo) for fifo in reversed(fifos)]
    for writer in writers:
        writer.write(b"123456789")
        writer.close()
    expected = "".join(f"e3069283  {path}\n" for path in [*fifos, digits]).encode()
    assert process.communicate(timeout=60) == (expected, b"")
    assert process.returncode == 0


@pytest.mark.parametrize("count", ["0", "1", "2", "100"])
def test_any_number_of_jobs_gives_the_same_lines(tmp_path, count):
    paths = [tmp_path / f"{number}" for number in range(200)]
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * number)
    paths[100:100] = [tmp_path / "missing"]
    result = run("crc32c", "--jobs", count, *paths)
    assert (result.returncode, result.stderr.count(b"\n")) == (1, 1)
    assert result.stdout == run("crc32c", *paths).stdout


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "", "1001"])
def test_a_number_that_cannot_be_used_is_refused(text):
    result = run("crc32c", "--jobs", text)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode().splitlines()[-1].endswith("is no number from 0 to 1000")


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("count", ["1", "2", "3"])
def test_an_interruption_ends_it_at_once(start, fifos, count):
    process = start("--jobs", count, *fifos)
    with opened(fifos[0]) as writer:
        writer.write(b"123456789")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == (b"", b"")
    assert process.returncode == 130


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("count", ["1", "2"])
def test_an_interruption_ends_the_compiled_code_too(start, count):
    process = start("--jobs", count, "/dev/null", "/dev/zero", "/dev/zero")
    assert process.stdout.readline() == b"00000000  /dev/null\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == (b"", b"")
    assert process.returncode == 130


@pytest.mark.usefixtures("interruptible")
def test_a_list_is_checked_while_it_arrives(start, digits):
    process = start("--check")
    process.stdin.write(f"e3069283  {digits}\n".encode())
    process.stdin.flush()
    assert process.stdout.readline() == f"{digits}: OK\n".encode()
    process.send_signal(signal.SIGINT)
    assert process.stderr.read() == b""
    assert process.wait(timeout=30) == 130


def test_a_reader_that_leaves_early_ends_it_at_once(start, digits, fifos):
    process = start("--jobs", "2", *[digits] * 5000, *fifos)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=30) == 1


def test_where_no_thread_can_be_started_that_is_said(digits):
    code = f"""if True:
        import sys, threading
        from {PACKAGE} import cli
        def fail(thread):
            raise RuntimeError("can't start new thread")
        threading.Thread.start = fail
        sys.exit(cli.main())
    """
    command = [sys.executable, "-c", code, "crc32c", "-j2", digits, digits]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.endswith(": --jobs 2: can't start new thread\n")
    assert result.stderr.count("\n") == 1


def test_few_items_are_taken_before_their_turn():
    taken = []
    calls = []

    def items():
        for number in range(jobs.AHEAD * 3):
            taken.append(number)
            yield number

    def work(number, _notice):
        while number == 0 and len(calls) < 3:
            time.sleep(0.01)
        return -number

    def notice(number):
        assert number == 0
        calls.append(len(taken))

    assert list(jobs.in_order(work, items(), 2, notice)) == [(number, -number) for number in taken]
    assert len(taken) == jobs.AHEAD * 3
    assert max(calls[:3]) <= jobs.AHEAD


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_comes_in_its_turn(count):
    def work(number, _notice):
        return 6 // number

    def items():
        yield from (3, 2, 0, 1)

    results = jobs.in_order(work, items(), count, print)
    assert [next(results), next(results)] == [(3, 2), (2, 3)]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_of_the_items_comes_after_the_results_of_those_before(count):
    def items():
        yield from (1, 2)
        raise OSError("the list ends here")

    results = jobs.in_order(lambda number, _notice: -number, items(), count, print)
    assert [next(results), next(results)] == [(1, -1), (2, -2)]
    with pytest.raises(OSError, match="the list ends here"):
        next(results)


def test_its_threads_end():
    before = threading.active_count()
    assert len(list(jobs.in_order(lambda number, _notice: -number, range(10), 8, print))) == 10
    deadline = time.monotonic() + 30
    while threading.active_count() > before:
        assert time.monotonic() < deadline, "threads are left"
        time.sleep(0.01)


def test_zero_jobs_are_one_for_each_cpu(monkeypatch):
    monkeypatch.setattr(command, "usable_cpus", lambda: 7)
    assert command.job_count("0") == 7


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system that binds processes to CPUs")
def test_only_cpus_that_the_process_may_use_are_counted():
    bind = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"
    code = f"{bind}; from {PACKAGE}.jobs import usable_cpus; print(usable_cpus())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"1\n"


def test_all_cpus_are_counted_where_processes_are_not_bound(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert jobs.usable_cpus() == os.cpu_count()
