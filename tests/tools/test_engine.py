"""The Docker engine and base images that the other tests depend on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import QUESTIONS, TEMPLATE
from tools.engine import SUBSTITUTE_LABEL, DockerError, Engine, EngineUnavailable

every_version = pytest.mark.parametrize("version", QUESTIONS["python_version"])

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


def test_apt_get_leaves_no_package_cache(engine: Engine, base_image: Callable[[str], str]) -> None:
    # The cache is larger than most packages, so images that run apt-get would look larger than with the official image.
    install = "{ apt-get update && apt-get install --yes --no-install-recommends libyaml-0-2; } >&2"
    command = f"{install} && find /var/cache/apt -type f ! -name lock"
    assert engine.docker("run", "--rm", base_image("3.14"), "sh", "-c", command).stdout == ""


def test_bridge_address_is_fixed(engine: Engine) -> None:
    if not engine.private:
        pytest.skip("only a private engine has its own bridge")
    option = '{{index .Options "com.docker.network.bridge.name"}}'
    bridge = engine.docker("network", "inspect", "bridge", "--format", option).stdout.strip()
    # 3 is NET_ADDR_SET: the address does not change when a container starts or stops.
    assert Path(f"/sys/class/net/{bridge}/addr_assign_type").read_text().strip() == "3"


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
        env={**given, "PATH": str(directory), "PYTHONPATH": str(TEMPLATE), **environment},
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
