"""Faults of the host and of a test run: the engine is stopped, and the run stops with one sentence."""

from __future__ import annotations

import ipaddress
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TEMPLATE, wait_until
from tools.engine import Engine, cache_dir, copy_programs

pytestmark = pytest.mark.serial

ENGINE = [sys.executable, "-m", "tools.engine"]
# pytest-rerunfailures needs the loopback interface.
WITHOUT_NETWORK = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
PLUGINS = ["-p", "tools.engine.fixtures", "-p", "no:cacheprovider", "--color=no"]
PARALLEL_TESTS = [sys.executable, "-m", "pytest", *PLUGINS, "--numprocesses=2", "--dist=loadfile"]


def test_second_user_does_not_stop_the_engine(engine: Engine) -> None:
    if not engine.private:
        pytest.skip("the engine was running before the tests")
    second = subprocess.run(ENGINE, check=False, capture_output=True, text=True, cwd=TEMPLATE)
    assert second.returncode == 0, second.stderr
    assert engine.docker("version", "--format", "{{.Server.Version}}").stdout == second.stdout


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can create namespaces")


def pytest_options() -> list[str]:
    """Return the options with which this repository runs pytest."""
    settings = tomllib.loads((TEMPLATE / "pyproject.toml").read_text("utf-8"))
    options: list[str] = settings["tool"]["pytest"]["ini_options"]["addopts"]
    return options


@dataclass(frozen=True)
class SpareEngine:
    """A second private engine with its own cache directory and network, which tests may start and stop."""

    caches: Path

    @property
    def home(self) -> Path:
        """Return the engine's directory."""
        return self.caches / cache_dir().name / "engine"

    def command(self, *command: str) -> tuple[list[str], dict[str, Any]]:
        """Return the `subprocess` arguments and options that run a command with this engine."""
        environment = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
        environment |= {"XDG_CACHE_HOME": str(self.caches), "PYTHONPATH": str(TEMPLATE)}
        return ["unshare", "--net", *ENGINE, *command], {"env": environment, "text": True}

    def pytest(self) -> tuple[list[str], dict[str, Any]]:
        """Return the `subprocess` arguments and options that run the current directory's tests in two processes."""
        _, options = self.command()
        return [*WITHOUT_NETWORK, *PARALLEL_TESTS], {**options, "stdout": subprocess.PIPE, "start_new_session": True}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command with this engine."""
        arguments, options = self.command(*command)
        return subprocess.run(arguments, check=False, capture_output=True, **options)

    @contextmanager
    def killed_run(self) -> Iterator[subprocess.Popen[str]]:
        """Yield a running command that uses this engine, and kill it at the end."""
        arguments, options = self.command("sh", "-c", "echo && read wait")
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
            process.kill()

    def wait_until_stopped(self) -> None:
        """Wait until no process or mount of the engine is left."""
        wait_until(lambda: not self.leftovers())

    def pid(self) -> int:
        """Return the process ID of the running engine."""
        return int((self.home / "dockerd.pid").read_text())

    def leftovers(self) -> list[str]:
        """Return the command lines and mounts that contain the engine's directory."""
        found = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(self.home) in line]
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = entry.read_text(errors="replace").replace("\0", " ")
            except OSError:
                continue
            if str(self.home) in line:
                found.append(line)
        return found


@pytest.fixture
def spare_engine(engine: Engine) -> Iterator[SpareEngine]:
    if not engine.private:
        pytest.skip("only a private engine includes the programs for a second one")
    # Unix socket paths have a length limit, so pytest's deeply nested directory is not used.
    with tempfile.TemporaryDirectory() as directory:
        spare_engine = SpareEngine(Path(directory))
        copy_programs(spare_engine.home)
        (spare_engine.home.parent / "base-images").symlink_to(cache_dir() / "base-images")
        yield spare_engine
        spare_engine.run("true")


def test_last_user_stops_the_engine_after_failure(spare_engine: SpareEngine) -> None:
    finished = spare_engine.run("sh", "-c", "docker version && cat $XDG_CACHE_HOME/*/engine/dockerd.pid && exit 7")
    assert finished.returncode == 7, finished.stderr
    assert "Server" in finished.stdout
    assert spare_engine.leftovers() == []


def test_stopped_engine_keeps_only_base_images(spare_engine: SpareEngine) -> None:
    imported = "tar --create --files-from=/dev/null | docker import - "
    assert spare_engine.run("sh", "-euc", f"{imported} python:3-slim; {imported} test:1; {imported}").returncode == 0
    listed = spare_engine.run("docker", "image", "ls", "--all", "--format", "{{.Repository}}:{{.Tag}}").stdout
    assert listed == "python:3-slim\n"


def test_interrupted_run_stops_the_engine(spare_engine: SpareEngine) -> None:
    # Set the handler explicitly, because background shells make their processes ignore SIGINT.
    interruptible = "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    with_engine = "from tools.engine import *\nwith running_engine(): print(flush=True); time.sleep(60)"
    arguments, options = spare_engine.command()
    arguments[arguments.index("-m") :] = ["-c", interruptible + with_engine]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert spare_engine.leftovers()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode != 0
    assert spare_engine.leftovers() == []


def write_tests(directory: Path, content: str) -> None:
    """Write two modules of the same tests, one for each process."""
    (directory / "pytest.ini").touch()
    for name in ("test_one.py", "test_two.py"):
        (directory / name).write_text(content)


LONG_TEST = """
import time
from pathlib import Path

def test_long(engine):
    Path(__file__).with_suffix(".running").touch()
    time.sleep(300)
"""


@pytest.mark.parametrize("interrupts", [1, 3])
@pytest.mark.parametrize("during", ["start", "tests"])
def test_parallel_run_interrupted_repeatedly_stops_the_engine(
    spare_engine: SpareEngine, tmp_path: Path, during: str, interrupts: int
) -> None:
    write_tests(tmp_path, LONG_TEST)
    arguments, options = spare_engine.pytest()
    with subprocess.Popen(arguments, cwd=tmp_path, **options) as process:
        if during == "start":
            wait_until(spare_engine.leftovers)
        else:
            wait_until(lambda: len(list(tmp_path.glob("*.running"))) == 2)
        for _ in range(interrupts):
            # Ctrl-C interrupts all processes of the foreground process group.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.7)
        process.communicate(timeout=60)
    assert process.returncode != 0
    spare_engine.wait_until_stopped()


def test_killed_run_stops_the_engine(spare_engine: SpareEngine) -> None:
    with spare_engine.killed_run():
        assert spare_engine.leftovers()
    spare_engine.wait_until_stopped()


def test_next_run_stops_the_engine_of_a_killed_supervisor(spare_engine: SpareEngine) -> None:
    with spare_engine.killed_run() as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
    pid = spare_engine.pid()
    assert spare_engine.run("sh", "-c", "cat $XDG_CACHE_HOME/*/engine/dockerd.pid").stdout.strip() == str(pid)
    assert spare_engine.leftovers() == []


def test_killed_engine_is_restarted(spare_engine: SpareEngine) -> None:
    with spare_engine.killed_run():
        os.kill(spare_engine.pid(), signal.SIGKILL)
    assert spare_engine.run().returncode == 0
    assert spare_engine.leftovers() == []


USE_EXISTING_ENGINE = """
import os
from tools.engine import *
os.environ["XDG_CACHE_HOME"] += "/given"
with running_engine() as engine:
    assert not engine.private
    print(engine.base_image("3.14"))
    print("while", *engine.docker("images", "--quiet").stdout.split())
print("after", *engine.docker("images", "--quiet").stdout.split())
"""


def test_existing_engine_keeps_running_without_substitute(
    spare_engine: SpareEngine, base_image: Callable[[str], str]
) -> None:
    base_image("3.14")
    given = spare_engine.caches / "given" / cache_dir().name
    given.mkdir(parents=True)
    (given / "base-images").symlink_to(cache_dir() / "base-images")
    finished = spare_engine.run(sys.executable, "-c", USE_EXISTING_ENGINE)
    # Without a network, the substitute can only be created from the cached file.
    assert finished.returncode == 0, finished.stderr
    tag, during, after = finished.stdout.splitlines()
    assert tag == "python:3.14-slim"
    assert len(during.split()) == 2
    assert after == "after"


TWO_ENGINES = """
import subprocess
from concurrent.futures import ThreadPoolExecutor
from tools.engine import *

def create_networks(engine):
    names = ["bridge", *(f"network-{number}" for number in range(20))]
    for name in names[1:]:
        engine.docker("network", "create", name)
    return engine.docker("network", "inspect", "--format", "{{range .IPAM.Config}}{{.Subnet}}{{end}}", *names).stdout

for arguments in ("link add docker0 type bridge", "address add 172.17.0.1/16 dev docker0", "link set docker0 up"):
    subprocess.run(["ip", *arguments.split()], check=True)
with running_engine() as first, second_engine(first) as second, ThreadPoolExecutor() as threads:
    for subnets in threads.map(create_networks, (first, second)):
        print(*subnets.split())
"""


def test_engines_share_no_address_range(spare_engine: SpareEngine) -> None:
    arguments, options = spare_engine.command()
    arguments[arguments.index("-m") :] = ["-c", TWO_ENGINES]
    finished = subprocess.run(arguments, check=False, capture_output=True, **options)
    assert finished.returncode == 0, finished.stderr
    first, second = (
        [ipaddress.IPv4Network(subnet) for subnet in line.split()] for line in finished.stdout.splitlines()
    )
    networks = [ipaddress.IPv4Network("172.17.0.0/16"), *first, *second]
    assert len(networks) == 1 + 2 * 21
    assert [pair for pair in itertools.combinations(networks, 2) if pair[0].overlaps(pair[1])] == []
    # Each engine has one range, which it can use completely.
    assert len({network.supernet(new_prefix=20) for network in first}) == 1
    assert len({network.supernet(new_prefix=20) for network in second}) == 1


# A fault that would fail most tests stops the run.


def run_tests(directory: Path, *command: str, **environment: str) -> tuple[str, int]:
    """Run the tests in a directory; return the output, without tracebacks, and the number of failures."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    variables = {**given, "PYTHONPATH": str(TEMPLATE), **environment}
    finished = subprocess.run(
        [*command, "--tb=no"], check=False, cwd=directory, env=variables, stdout=subprocess.PIPE, text=True
    )
    assert finished.returncode != 0
    assert "INTERNALERROR" not in finished.stdout
    failed = re.search(r"(\d+) failed", finished.stdout)
    return finished.stdout, int(failed[1]) if failed else 0


def test_unrelated_failures_do_not_stop_the_run(tmp_path: Path) -> None:
    write_tests(tmp_path, "def test_one(): assert False\n\ndef test_two(): assert False\n")
    _, failed = run_tests(tmp_path, *PARALLEL_TESTS)
    assert failed == 4


def test_failures_are_printed_before_the_end_of_the_run(tmp_path: Path) -> None:
    write_tests(tmp_path, "def test_one(): assert 'this' == 'that'\n")
    output, _ = run_tests(tmp_path, *PARALLEL_TESTS, "-p", "tests.conftest")
    before_summary, _, _ = output.partition("short test summary")
    for name in ("test_one.py", "test_two.py"):
        assert re.search(rf"^failed: {name}::test_one\nE .*assert 'this' == 'that'$", before_summary, re.MULTILINE)


FILL_DISK = """
import pytest

@pytest.mark.parametrize("number", range(100))
def test_write(tmp_path, number):
    (tmp_path / "file").write_bytes(bytes(2_000_000))
"""


@as_root
def test_full_disk_stops_the_run(tmp_path: Path) -> None:
    write_tests(tmp_path, FILL_DISK)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=1m tmpfs "$TMPDIR" && exec "$@"'
    output, failed = run_tests(
        tmp_path, "unshare", "--mount", "sh", "-c", mount, "sh", *PARALLEL_TESTS, TMPDIR=str(disk)
    )
    assert f"The disk is full: {disk} has" in output
    assert 1 <= failed <= 10


RESOLVE_NAME = """
import socket
from pathlib import Path

import pytest

@pytest.mark.parametrize("number", range(100))
def test_resolve(number):
    with Path(f"{Path(__file__).stem}.{number}.attempts").open("a") as attempts:
        attempts.write(".")
    socket.getaddrinfo("example.org", 443)
"""


@as_root
def test_missing_name_server_stops_the_run_after_the_reruns(tmp_path: Path) -> None:
    write_tests(tmp_path, RESOLVE_NAME)
    reruns = [option for option in pytest_options() if "rerun" in option]
    output, failed = run_tests(tmp_path, *WITHOUT_NETWORK, *PARALLEL_TESTS, *reruns, "--reruns-delay=1")
    assert "No name could be resolved" in output
    assert 1 <= failed <= 10
    assert "..." in [path.read_text() for path in tmp_path.glob("*.0.attempts")]


@as_root
def test_missing_name_server_stops_tests_that_need_the_index(tmp_path: Path) -> None:
    write_tests(tmp_path, "def test_install(index): pass\n\ndef test_download(index): pass\n")
    reruns = [option for option in pytest_options() if "rerun" in option]
    command = [*WITHOUT_NETWORK, *PARALLEL_TESTS, "-p", "tests.conftest", *reruns, "--reruns=1", "--reruns-delay=1"]
    only_default_index = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    output, _ = run_tests(tmp_path, *command, **only_default_index)
    assert "No name could be resolved" in output


KILL_ENGINE = """
import os
import pytest
import signal
from pathlib import Path

@pytest.mark.parametrize("number", range(100))
def test_engine(engine, number):
    pid = Path(os.environ["XDG_CACHE_HOME"], PID_FILE)
    if number == 2:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    engine.docker("version")
"""


def test_killed_engine_stops_the_run(spare_engine: SpareEngine, tmp_path: Path) -> None:
    pid_file = (spare_engine.home / "dockerd.pid").relative_to(spare_engine.caches)
    write_tests(tmp_path, KILL_ENGINE.replace("PID_FILE", repr(str(pid_file))))
    arguments, options = spare_engine.pytest()
    output, failed = run_tests(tmp_path, *arguments, **options["env"])
    assert "The Docker engine no longer responds" in output
    assert 1 <= failed <= 10
    spare_engine.wait_until_stopped()
