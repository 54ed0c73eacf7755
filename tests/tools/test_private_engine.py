"""The private engine: when it is stopped, whatever happens to the run that started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tools.engine import Engine, cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.serial

REPOSITORY = Path(__file__).resolve().parents[2]
ENGINE = [sys.executable, "-m", "tools.engine"]


def test_second_user_does_not_stop_the_engine(engine: Engine) -> None:
    if not engine.private:
        pytest.skip("the engine was running before the tests")
    second = subprocess.run(ENGINE, check=False, capture_output=True, text=True, cwd=REPOSITORY)
    assert second.returncode == 0, second.stderr
    assert engine.docker("version", "--format", "{{.Server.Version}}").stdout == second.stdout


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait up to a minute, and fail if the condition is still false."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
        environment |= {"XDG_CACHE_HOME": str(self.caches), "PYTHONPATH": str(REPOSITORY)}
        return ["unshare", "--net", *ENGINE, *command], {"env": environment, "text": True}

    def pytest(self) -> tuple[list[str], dict[str, Any]]:
        """Return the `subprocess` arguments and options that run the current directory's tests in two processes."""
        _, options = self.command()
        with_loopback = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        plugins = ["-p", "tools.engine.fixtures", "-p", "no:cacheprovider"]
        run = [sys.executable, "-m", "pytest", *plugins, "--numprocesses=2", "--dist=loadfile"]
        return [*with_loopback, *run], {**options, "stdout": subprocess.PIPE, "start_new_session": True}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command with this engine."""
        arguments, options = self.command(*command)
        return subprocess.run(arguments, check=False, capture_output=True, **options)

    def wait_until_stopped(self) -> None:
        """Wait until no process or mount of the engine is left."""
        wait_for(lambda: not self.leftovers())

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
        shutil.copytree(cache_dir() / "engine/root", spare_engine.home / "root", symlinks=True)
        (spare_engine.home / "config").mkdir()
        (spare_engine.home / "config/cli-plugins").symlink_to(spare_engine.home / "root/usr/libexec/docker/cli-plugins")
        (spare_engine.home.parent / "base-images").symlink_to(cache_dir() / "base-images")
        yield spare_engine
        spare_engine.run("true")


def test_last_user_stops_the_engine_after_failure(spare_engine: SpareEngine) -> None:
    finished = spare_engine.run("sh", "-c", "docker version && cat $XDG_CACHE_HOME/*/engine/dockerd.pid && exit 7")
    assert finished.returncode == 7, finished.stderr
    assert "Server" in finished.stdout
    assert spare_engine.leftovers() == []


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
    (tmp_path / "pytest.ini").touch()
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(LONG_TEST)
    arguments, options = spare_engine.pytest()
    with subprocess.Popen(arguments, cwd=tmp_path, **options) as process:
        if during == "start":
            wait_for(lambda: bool(spare_engine.leftovers()))
        else:
            wait_for(lambda: len(list(tmp_path.glob("*.running"))) == 2)
        for _ in range(interrupts):
            # Ctrl-C interrupts all processes of the foreground process group.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.7)
        process.communicate(timeout=60)
    assert process.returncode != 0
    spare_engine.wait_until_stopped()


def test_killed_run_stops_the_engine(spare_engine: SpareEngine) -> None:
    arguments, options = spare_engine.command("sh", "-c", "echo && read wait")
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    spare_engine.wait_until_stopped()


def test_next_run_stops_the_engine_of_a_killed_supervisor(spare_engine: SpareEngine) -> None:
    arguments, options = spare_engine.command("sh", "-c", "echo && read wait")
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        process.kill()
    pid = spare_engine.pid()
    assert spare_engine.run("sh", "-c", "cat $XDG_CACHE_HOME/*/engine/dockerd.pid").stdout.strip() == str(pid)
    assert spare_engine.leftovers() == []


def test_killed_engine_is_restarted(spare_engine: SpareEngine) -> None:
    arguments, options = spare_engine.command("sh", "-c", "echo && read wait")
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(spare_engine.pid(), signal.SIGKILL)
        process.kill()
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
    # There is no network, so the substitute can only be created from the cached file.
    assert finished.returncode == 0, finished.stderr
    tag, during, after = finished.stdout.splitlines()
    assert tag == "python:3.14-slim"
    assert len(during.split()) == 2
    assert after == "after"
