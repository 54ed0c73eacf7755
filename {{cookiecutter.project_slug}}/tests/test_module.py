"""The compiled module: loaded again, loaded by other interpreters, used by many threads."""

import importlib.util
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor

import pytest

from {{ cookiecutter.package_name }} import _native

DATA = bytes(1_000_000)
PACKAGE = "{{ cookiecutter.package_name }}"
CODE = f"from {PACKAGE} import crc32c; assert crc32c(b'123456789') == 0xE3069283"
# Before 3.14, interpreters with a GIL of their own had no public name in the standard library.
OWN_GIL = {
    (3, 12): "import _xxsubinterpreters as it; it.run_string(it.create(), CODE)",
    (3, 13): "import _interpreters as it; assert it.exec(it.create(), CODE) is None",
}.get(sys.version_info[:2], "from concurrent import interpreters as it; it.create().exec(CODE)")


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


@pytest.mark.skipif(sys.version_info < (3, 12), reason="such interpreters came with Python 3.12")
def test_an_interpreter_with_its_own_gil_can_load_it():
    # In a process of its own: pytest's own modules need not stand other interpreters.
    subprocess.run([sys.executable, "-c", f"CODE = {CODE!r}; {OWN_GIL}"], check=True, timeout=60)


def test_many_threads_get_right_answers():
    expected = _native.crc32c(DATA)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(_native.crc32c, [DATA] * 100)) == {expected}


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs a free-threaded Python")
def test_the_gil_stays_off():
    assert not sys._is_gil_enabled()
