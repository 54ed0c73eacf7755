"""`crc32c --check`: what it accepts, and what it says of each file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .test_command import COMMAND, NAME, run

# What the file systems of some machines refuse is not among them.
NAMES = [b"plain", b" two  spaces ", b"*star", b"#hash", b"-dash", b"new\nline", b"back\\slash", b"\\n", b"return\r"]
NONE = f"{NAME}: list: no properly formatted checksum lines found\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").write_bytes(b"123456789")
    (tmp_path / "empty").touch()
    return tmp_path


def check(content, *options, name="list"):
    Path(name).write_bytes(content)
    return run("crc32c", "--check", *options, name)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("jobs", ["1", "3"])
def test_it_accepts_what_the_command_prints(jobs):
    names = NAMES if sys.platform == "darwin" else [*NAMES, b"\xff"]
    for name in names:
        Path(os.fsdecode(name)).write_bytes(name)
    printed = run("crc32c", "--", *names).stdout
    assert printed.count(b"\n") == len(names)
    result = check(printed, "--jobs", jobs)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.count(b": OK\n") == len(names)


@pytest.mark.usefixtures("folder")
def test_a_name_that_does_not_fit_into_one_line_is_escaped():
    for name in ("new\nline", "back\\slash", "return\r"):
        os.link("digits", name)
    escaped = [rb"new\nline", rb"back\\slash", rb"return\r"]
    printed = run("crc32c", "new\nline", "back\\slash", "return\r").stdout
    assert printed.splitlines() == [b"\\e3069283  " + name for name in escaped]
    assert check(printed).stdout.splitlines() == [b"\\" + name + b": OK" for name in escaped]


@pytest.mark.usefixtures("folder")
def test_each_file_gets_a_verdict_and_each_fault_is_counted():
    result = check(b"e3069283  digits\n00000001  empty\nnonsense\n00000000  missing\n")
    assert result.returncode == 1
    assert result.stdout == b"digits: OK\nempty: FAILED\nmissing: FAILED open or read\n"
    assert result.stderr.decode().splitlines() == [
        f"{NAME}: missing: No such file or directory",
        f"{NAME}: WARNING: 1 line is improperly formatted",
        f"{NAME}: WARNING: 1 listed file could not be read",
        f"{NAME}: WARNING: 1 computed checksum did NOT match",
    ]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("line", [b"00000001  empty\n", b"00000000  missing\n"])
def test_a_single_fault_is_a_failure(line):
    assert check(b"e3069283  digits\n" + line).returncode == 1


@pytest.mark.usefixtures("folder")
def test_several_faults_are_counted_in_the_plural():
    result = check(b"00000001  digits\n00000001  empty\nnonsense\n\tmore\n00000000  missing\n00000000  .\n")
    assert [line.partition("WARNING: ")[2] for line in result.stderr.decode().splitlines()[2:]] == [
        "2 lines are improperly formatted",
        "2 listed files could not be read",
        "2 computed checksums did NOT match",
    ]


@pytest.mark.usefixtures("folder")
def test_quiet_leaves_out_what_is_ok():
    result = check(b"e3069283  digits\n00000001  empty\n", "--quiet")
    assert (result.returncode, result.stdout) == (1, b"empty: FAILED\n")
    assert b"1 computed checksum did NOT match" in result.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("claim", "status"), [(b"00000000", 0), (b"00000001", 1)])
def test_status_leaves_out_everything(claim, status):
    result = check(b"nonsense\n" + claim + b"  empty\n", "--status")
    assert (result.returncode, result.stdout, result.stderr) == (status, b"", b"")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("options", "status"), [([], 0), (["--strict"], 1)])
def test_an_improper_line_among_others_is_a_failure_when_asked_for(options, status):
    result = check(b"e3069283  digits\nnonsense\n", *options)
    assert (result.returncode, result.stdout) == (status, b"digits: OK\n")
    assert result.stderr.decode() == f"{NAME}: WARNING: 1 line is improperly formatted\n"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "line",
    [
        b"e3069283  digits",
        b"e3069283 *digits\n",
        b"e3069283  digits\r\n",
        b"E3069283  digits\n",
        b"\t e3069283  digits\n",
        b"# a comment\n\n\r\ne3069283  digits\n",
    ],
)
def test_a_line_may_look_like_this(line):
    result = check(line)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"digits: OK\n", b"")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"# a comment\n",
        b"e3069283\n",
        b"e3069283  \n",
        b"e3069283 digits\n",
        b"e306928  digits\n",
        b"e30692833  digits\n",
        b"e306928g  digits\n",
        b"e3069283  dig\0its\n",
        b"\\e3069283  \\digits\n",
        b"\\e3069283  digits\\\n",
    ],
)
def test_a_list_without_a_proper_line_is_a_failure(line):
    result = check(line)
    assert (result.returncode, result.stdout, result.stderr.decode()) == (1, b"", NONE)


@pytest.mark.usefixtures("folder")
def test_standard_input_is_the_list_or_a_file():
    with_list = run("crc32c", "--check", input=b"e3069283  digits\n")
    assert (with_list.returncode, with_list.stdout) == (0, b"digits: OK\n")
    Path("list").write_bytes(b"e3069283  -\n")
    with_file = run("crc32c", "--check", "list", input=b"123456789")
    assert (with_file.returncode, with_file.stdout) == (0, b"-: OK\n")


@pytest.mark.usefixtures("folder")
def test_standard_input_as_two_lists_has_no_line_for_the_second():
    result = run("crc32c", "--check", "-", "-", input=b"e3069283  digits\n")
    assert (result.returncode, result.stdout) == (1, b"digits: OK\n")
    assert result.stderr.decode() == NONE.replace("list", "-")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_several_lists_are_checked_one_after_the_other(jobs):
    for name, line in {"first": b"00000001  empty\n", "second": b"e3069283  digits\n"}.items():
        Path(name).write_bytes(line)
    result = run("crc32c", "--check", "--jobs", jobs, "missing", "first", ".", "second")
    assert (result.returncode, result.stdout) == (1, b"empty: FAILED\ndigits: OK\n")
    assert result.stderr.decode().splitlines() == [
        f"{NAME}: missing: No such file or directory",
        f"{NAME}: WARNING: 1 computed checksum did NOT match",
        f"{NAME}: .: Is a directory",
    ]


@pytest.mark.usefixtures("folder")
def test_a_complaint_shows_what_a_terminal_would_obey():
    result = check(b"00000000  \x1b[2J\x9b\xff\n")
    assert result.stderr.decode().splitlines()[0] == rf"{NAME}: \x1b[2J\udc9b\udcff: No such file or directory"


@pytest.mark.parametrize("option", ["--quiet", "--status", "--strict"])
def test_an_option_without_check_is_refused(option):
    result = run("crc32c", option)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode().splitlines()[-1] == f"{NAME} crc32c: error: {option} is only for --check"


@pytest.mark.usefixtures("folder")
def test_a_reader_that_leaves_early_gets_no_traceback():
    Path("list").write_bytes(b"e3069283  digits\n" * 10_000)
    command = [COMMAND, "crc32c", "--check", "list"]
    pipeline = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    pipeline.stdout.readline()
    pipeline.stdout.close()
    assert pipeline.stderr.read() == b""
    pipeline.stderr.close()
    assert pipeline.wait(timeout=60) == 1
