"""The Docker engine and base images that the other tests depend on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tools.engine import SUBSTITUTE_LABEL, DockerError, Engine, EngineUnavailable, cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.serial

REPOSITORY = Path(__file__).resolve().parents[2]
ENGINE = [sys.executable, "-m", "tools.engine"]

every_version = pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14", "3.15"])

DOCKERFILE = r"""
ARG TAG=scratch
FROM $TAG AS bare
RUN for tool in gcc cc c++ clang ld as make; do if command -v $tool; then exit 1; fi; done
RUN test ! -e /usr/include/stdlib.h

FROM $TAG AS library
RUN test -z "$(find / -xdev -path '*/lib/python3*' -name '*.pyc')"
RUN test -z "$(find / -xdev -path '*/lib/python3*/test')"
RUN test -z "$(find / -xdev -name 'libpython*.a')"
RUN python -c 'import bz2, ctypes, curses, lzma, readline, sqlite3, ssl, uuid, zlib; ctypes.CDLL(None)'
RUN for name in python python3 pip pip3; do /usr/local/bin/$name --version || exit 1; done
RUN test -e "$(python -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h"
RUN test -e /usr/local/include/python3*/Python.h

FROM $TAG AS pip
RUN pip install six && python -c 'import six'
RUN python -m venv /venv && /venv/bin/pip install six && /venv/bin/python -c 'import six'

FROM $TAG AS extension
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
WORKDIR /source
COPY probe.c setup.py ./
RUN python -m venv /venv && /venv/bin/pip install .
RUN pip install .
WORKDIR /
RUN python -c 'import probe; assert probe.answer() == 42'
RUN /venv/bin/python -c 'import probe; assert probe.answer() == 42'
"""

PROBE = """
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *ignored) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef probe = {PyModuleDef_HEAD_INIT, "probe", NULL, -1, methods};
PyMODINIT_FUNC PyInit_probe(void) { return PyModule_Create(&probe); }
"""

SETUP = """
from setuptools import Extension, setup
setup(name="probe", version="1", ext_modules=[Extension("probe", ["probe.c"])])
"""


@pytest.fixture(scope="module")
def build(
    engine: Engine, base_image: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], None]:
    """Return a function that builds one stage of the Dockerfile, based on the base image of a Python version."""
    context = tmp_path_factory.mktemp("context")
    for name, content in {"Dockerfile": DOCKERFILE, "probe.c": PROBE, "setup.py": SETUP}.items():
        (context / name).write_text(content)

    def build_stage(version: str, stage: str) -> None:
        tag = f"TAG={base_image(version)}"
        # Discard the result, because exporting it would take seconds.
        engine.docker("build", "--output=type=cacheonly", f"--build-arg={tag}", f"--target={stage}", str(context))

    return build_stage


@every_version
def test_base_image_has_no_compiler(build: Callable[[str, str], None], version: str) -> None:
    build(version, "bare")


@every_version
def test_base_image_has_headers_but_no_tests_or_bytecode(build: Callable[[str, str], None], version: str) -> None:
    build(version, "library")


@every_version
def test_base_image_pip_installs_from_the_index(build: Callable[[str, str], None], version: str) -> None:
    build(version, "pip")


@every_version
def test_base_image_compiles_and_imports_a_c_extension(build: Callable[[str, str], None], version: str) -> None:
    build(version, "extension")


@every_version
def test_substitute_base_image_is_labelled_and_contains_only_pip(
    engine: Engine, base_image: Callable[[str], str], version: str
) -> None:
    tag = base_image(version)
    labels = json.loads(engine.docker("image", "inspect", "--format", "{{json .Config.Labels}}", tag).stdout) or {}
    if SUBSTITUTE_LABEL not in labels:
        pytest.skip(f"{tag} is the official image")
    assert "substitute" in labels["org.opencontainers.image.description"]
    listed = engine.docker("run", "--rm", tag, "pip", "list", "--format=json").stdout
    assert [package["name"] for package in json.loads(listed)] == ["pip"]


def test_unavailable_base_image_gives_one_line_error(engine: Engine) -> None:
    with pytest.raises(EngineUnavailable, match=r"^.*(has CPython 3\.99|only root on Debian).*$"):
        engine.base_image("3.99")


def test_failed_command_error_includes_output(engine: Engine) -> None:
    with pytest.raises(DockerError, match=r"docker image inspect nothing:here(?s:.*)No such image"):
        engine.docker("image", "inspect", "nothing:here")


# Messages for users without an engine and without root. These tests start no engine.

WITHOUT_ROOT = "import os, runpy, sys; os.geteuid = lambda: 65534; sys.argv = sys.argv[1:]; "
RUN_MODULE = WITHOUT_ROOT + "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"


def run_without_engine(directory: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module as a user who is not root and has no docker command."""
    given = {name: value for name, value in os.environ.items() if name not in ("DOCKER_HOST", "REQUIRE_ENGINE")}
    return subprocess.run(
        [sys.executable, "-c", RUN_MODULE, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=directory,
        env={**given, "PATH": str(directory), "PYTHONPATH": str(REPOSITORY), **environment},
    )


def run_image_test_without_engine(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_image.py").write_text("def test_image(engine): pass\n")
    (directory / "pytest.ini").write_text("[pytest]\n")
    options = ("-p", "tools.engine.fixtures", "-p", "no:cacheprovider", "-rs", "--color=no")
    return run_without_engine(directory, "pytest", *options, "test_image.py", COLUMNS="400", **environment)


def test_image_tests_without_engine_are_skipped_with_instructions(tmp_path: Path) -> None:
    finished = run_image_test_without_engine(tmp_path)
    assert "1 skipped" in finished.stdout
    reasons = [line for line in finished.stdout.splitlines() if line.startswith("SKIPPED")]
    assert len(reasons) == 1
    assert "start Docker" in reasons[0]
    assert "root on Debian" in reasons[0]


def test_image_tests_fail_if_engine_is_required(tmp_path: Path) -> None:
    finished = run_image_test_without_engine(tmp_path, REQUIRE_ENGINE="1")
    assert finished.returncode == pytest.ExitCode.TESTS_FAILED
    assert "start Docker" in finished.stdout
    assert "Traceback" not in finished.stdout


def test_engine_command_without_engine_gives_one_line_error(tmp_path: Path) -> None:
    finished = run_without_engine(tmp_path, "tools.engine", "true")
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.count("\n") == 1
    assert "start Docker" in finished.stderr


# The private engine.


def test_second_user_does_not_stop_the_engine(engine: Engine) -> None:
    if not engine.private:
        pytest.skip("the engine was running before the tests")
    second = subprocess.run(ENGINE, check=False, capture_output=True, text=True, cwd=REPOSITORY)
    assert second.returncode == 0, second.stderr
    assert engine.docker("version", "--format", "{{.Server.Version}}").stdout == second.stdout


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

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command with this engine."""
        arguments, options = self.command(*command)
        return subprocess.run(arguments, check=False, capture_output=True, **options)

    def pid(self) -> int:
        """Return the process ID of the running engine."""
        return int((self.home / "dockerd.pid").read_text())

    def leftovers(self) -> list[str]:
        """Return the command lines and mounts that contain the engine's directory."""
        found = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(self.home) in line]
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = entry.read_text().replace("\0", " ")
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


def test_next_run_stops_the_engine_of_a_killed_run(spare_engine: SpareEngine) -> None:
    arguments, options = spare_engine.command("sh", "-c", "echo && read wait")
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        assert process.stdout is not None
        process.stdout.readline()
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
