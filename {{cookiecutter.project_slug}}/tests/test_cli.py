"""The command line, run as a subprocess."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from {{ cookiecutter.package_name }} import __version__

NAME = "{{ cookiecutter.project_slug }}"
# The command is beside the interpreter in a virtualenv that is not activated, and anywhere on PATH in an image.
COMMAND = shutil.which(NAME, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


# Executes a statement, then the command that follows.
EXEC_AFTER = "import os, sys; {}; os.execv(sys.argv[1], sys.argv[1:])"


def run(*arguments, **options):
    return subprocess.run([COMMAND, *arguments], capture_output=True, check=False, timeout=60, **options)


@pytest.fixture
def digits(tmp_path):
    path = tmp_path / "digits"
    path.write_bytes(b"123456789")
    return path


def test_each_file_is_printed(digits):
    result = run("crc32c", digits.name, "/dev/null", cwd=digits.parent)
    assert result.stdout == b"e3069283  digits\n00000000  /dev/null\n"
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", [["crc32c"], ["crc32c", "-"]])
def test_standard_input_is_default(arguments):
    result = run(*arguments, input=b"123456789")
    assert (result.returncode, result.stdout) == (0, b"e3069283  -\n")


def test_unreadable_file_is_reported(digits, tmp_path):
    result = run("crc32c", tmp_path / "missing", tmp_path, digits)
    assert (result.returncode, result.stdout) == (1, f"e3069283  {digits}\n".encode())
    assert result.stderr.decode().splitlines() == [
        f"{NAME}: {tmp_path}/missing: No such file or directory",
        f"{NAME}: {tmp_path}: Is a directory",
    ]


def test_nonblocking_pipe_is_reported():
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    result = run("crc32c", stdin=reading)
    os.close(reading)
    os.close(writing)
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.decode() == f"{NAME}: -: Resource temporarily unavailable\n"


def test_non_utf8_name_is_printed_unchanged(digits):
    name = bytes(digits) + b"\xff"
    digits.rename(os.fsdecode(name))
    assert run("crc32c", name).stdout == b"e3069283  " + name + b"\n"


def report_output_error(digits, statement):
    command = [sys.executable, "-c", EXEC_AFTER.format(statement), COMMAND, "crc32c", digits]
    result = subprocess.run(command, stderr=subprocess.PIPE, check=False)
    assert (result.returncode, result.stderr.count(b"\n")) == (1, 1)
    return result.stderr.decode()


def test_closed_standard_output_is_reported(digits):
    error = report_output_error(digits, "os.close(1)")
    assert error.startswith(f"{NAME}: standard output: Bad file descriptor")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_reported(digits):
    error = report_output_error(digits, "os.dup2(os.open('/dev/full', os.O_WRONLY), 1)")
    assert error.startswith(f"{NAME}: standard output: No space left")


def test_closed_standard_error_keeps_errors_out_of_output(digits):
    command = [sys.executable, "-c", EXEC_AFTER.format("os.close(2)"), COMMAND, "crc32c", "missing", digits]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    assert (result.returncode, result.stdout.decode()) == (1, f"e3069283  {digits}\n")


def test_closed_pipe_prints_no_traceback(digits):
    command = [COMMAND, "crc32c", *[digits] * 10_000]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_interrupt_exits_with_status_130():
    with subprocess.Popen([COMMAND, "crc32c", "/dev/null", "/dev/zero"], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130


def test_version_is_printed():
    assert run("--version").stdout.decode().split() == [NAME, __version__]


def test_package_runs_as_module(digits):
    package = "{{ cookiecutter.package_name }}"
    command = [sys.executable, "-m", package, "crc32c", digits]
    assert subprocess.run(command, capture_output=True, check=True).stdout == f"e3069283  {digits}\n".encode()


def test_unknown_command_exits_with_status_2():
    assert run("nonsense").returncode == 2
