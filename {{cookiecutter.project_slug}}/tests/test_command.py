"""The command line, run as people run it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from {{ cookiecutter.package_name }} import __version__

NAME = "{{ cookiecutter.project_slug }}"
PACKAGE = "{{ cookiecutter.package_name }}"
# Beside the interpreter in a virtualenv that is not activated, anywhere on PATH in an image.
PLACES = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
COMMAND = shutil.which(NAME, path=PLACES)


def run(*arguments, **options):
    return subprocess.run([COMMAND, *arguments], capture_output=True, check=False, timeout=60, **options)


@pytest.fixture
def digits(tmp_path):
    path = tmp_path / "digits"
    path.write_bytes(b"123456789")
    return path


def test_each_file_gives_one_line(digits, tmp_path):
    (tmp_path / "empty").touch()
    result = run("crc32c", digits.name, "empty", cwd=tmp_path)
    assert result.stdout == b"e3069283  digits\n00000000  empty\n"
    assert (result.returncode, result.stderr) == (0, b"")


def run_in_shell(script, *arguments):
    """Run a shell's script, whose $0 is the command."""
    return subprocess.run(["sh", "-c", script, COMMAND, *arguments], capture_output=True, check=False, timeout=60)


def test_a_closed_standard_output_is_said(digits):
    result = run_in_shell('exec "$0" crc32c "$1" >&-', digits)
    assert (result.returncode, result.stderr.decode()) == (1, f"{NAME}: standard output: it is closed\n")


def test_with_standard_error_closed_complaints_do_not_get_into_the_list(digits):
    result = run_in_shell('exec "$0" crc32c missing "$1" 2>&-', digits)
    assert (result.returncode, result.stdout.decode()) == (1, f"e3069283  {digits}\n")


@pytest.mark.parametrize("arguments", [["crc32c"], ["crc32c", "-"]])
def test_standard_input_is_the_default(arguments):
    result = run(*arguments, input=b"123456789")
    assert (result.returncode, result.stdout) == (0, b"e3069283  -\n")


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_done(digits, tmp_path):
    result = run("crc32c", tmp_path / "missing", tmp_path, digits)
    assert result.returncode == 1
    assert result.stdout == f"e3069283  {digits}\n".encode()
    missing, folder = result.stderr.decode().splitlines()
    assert missing.endswith("missing: No such file or directory")
    assert folder.endswith(f"{tmp_path}: Is a directory")


def test_a_pipe_that_does_not_wait_is_no_empty_file():
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    result = run("crc32c", stdin=reading)
    os.close(reading)
    os.close(writing)
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.decode() == f"{NAME}: -: Resource temporarily unavailable\n"


def test_a_name_that_is_not_utf8_is_printed_as_it_came(digits):
    name = bytes(digits) + b"\xff"
    digits.rename(name.decode(errors="surrogateescape"))
    assert run("crc32c", name).stdout == b"e3069283  " + name + b"\n"


def test_a_reader_that_leaves_early_gets_no_traceback(digits):
    pipeline = subprocess.Popen([COMMAND, "crc32c", *[digits] * 10_000], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    pipeline.stdout.readline()
    pipeline.stdout.close()
    assert pipeline.stderr.read() == b""
    pipeline.stderr.close()
    pipeline.wait(timeout=60)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_gives_one_line(digits):
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run([COMMAND, "crc32c", digits], stdout=full, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1
    assert result.stderr.decode() == f"{NAME}: standard output: No space left on device\n"


def test_the_version_is_told():
    assert run("--version").stdout.decode().split() == [NAME, __version__]


def test_the_package_runs_as_a_module(digits):
    result = subprocess.run([sys.executable, "-m", PACKAGE, "crc32c", digits], capture_output=True, check=True)
    assert result.stdout == f"e3069283  {digits}\n".encode()


def test_an_unknown_command_ends_with_status_2():
    assert run("nonsense").returncode == 2
