"""The compiled module: loaded again, loaded by other interpreters, used by many threads."""

import importlib.util
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor

import pytest

from {{ cookiecutter.package_name }} import _native

DATA = bytes(1_000_000)
OWN_GIL = """
import concurrent.interpreters as interpreters
interpreter = interpreters.create()
interpreter.exec("from {{ cookiecutter.package_name }} import crc32c")
interpreter.exec("assert crc32c(b'123456789') == 0xE3069283")
interpreter.close()
"""


def load():
    spec = importlib.util.spec_from_file_location(_native.__spec__.name, _native.__spec__.origin)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_loading_again_gives_a_new_module_with_its_own_state():
    first, second = load(), load()
    assert first is not second
    del first
    assert second.crc32c(b"123456789") == 0xE3069283


@pytest.mark.skipif(sys.version_info < (3, 14), reason="concurrent.interpreters came with Python 3.14")
def test_an_interpreter_with_its_own_gil_can_load_it():
    # In a process of its own: pytest's own modules need not stand other interpreters.
    subprocess.run([sys.executable, "-c", OWN_GIL], check=True, timeout=60)


def test_many_threads_get_right_answers():
    expected = _native.crc32c(DATA)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(_native.crc32c, [DATA] * 100)) == {expected}


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs a free-threaded Python")
def test_the_gil_stays_off():
    assert not sys._is_gil_enabled()
