"""The C extension: correct values, any bytes-like object, clear errors, threads and interpreters."""

import array
import importlib.util
import inspect
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from {{ cookiecutter.package_name }} import _native, crc32c

# RFC 3720, appendix B.4, and the check value of the catalogue of parametrised CRC algorithms (CRC-32/ISCSI).
KNOWN_VALUES = {
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
    b"123456789": 0xE3069283,
}
# Longer than GIL_RELEASE_BYTES in _native.c.
LONG = bytes(range(251)) * 40
CODE = f"from {_native.__name__} import crc32c; assert crc32c(b'123456789') == 0xE3069283"
# Before Python 3.14, the standard library had no public module for interpreters with a GIL of their own.
RUN_IN_INTERPRETER = {
    (3, 12): "import _xxsubinterpreters as it; it.run_string(it.create(), CODE)",
    (3, 13): "import _interpreters as it; assert it.exec(it.create(), CODE) is None",
}.get(sys.version_info[:2], "from concurrent import interpreters as it; it.create().exec(CODE)")


def reference_crc32c(data, value=0):
    """Return the CRC-32C of data, computed one bit at a time as RFC 3720 (section 12.1) defines it."""
    crc = value ^ 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def exact_buffer(data):
    """Copy data to memory without a spare byte at its end, so that AddressSanitizer detects a read past it."""
    return array.array("B", list(data))


def load_again():
    spec = importlib.util.spec_from_file_location(_native.__spec__.name, _native.__spec__.origin)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The values that the function returns. Replace these tests.


@pytest.mark.parametrize(("data", "expected"), KNOWN_VALUES.items())
def test_known_values(data, expected):
    assert crc32c(data) == expected
    assert reference_crc32c(data) == expected


# No deadline, because a busy machine can be slow.
@settings(deadline=None)
@given(st.binary(min_size=100, max_size=200), st.integers(0, 2**32 - 1))
def test_any_data_agrees_with_reference(data, value):
    expected = value
    # Each length up to 100 is tested with each example.
    for size in range(len(data) + 1):
        assert crc32c(exact_buffer(data[:size]), value) == expected
        expected = reference_crc32c(data[size : size + 1], expected)


@settings(deadline=None)
@given(st.binary(max_size=100), st.integers(0, 2**32 - 1))
def test_parts_add_up_to_whole(data, value):
    whole = crc32c(data, value)
    for cut in range(len(data) + 1):
        assert crc32c(data[cut:], crc32c(data[:cut], value)) == whole


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 100, 8191, 8192, 8193, len(LONG)])
def test_sizes_and_alignments_agree_with_reference(size):
    expected = reference_crc32c(LONG[:size])
    assert crc32c(exact_buffer(LONG[:size])) == expected
    for offset in range(1, 9):
        assert crc32c(memoryview(bytes(offset) + LONG[:size])[offset:]) == expected


# The behaviour of any function that accepts a buffer, and of any C extension. Adapt these tests.


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, exact_buffer])
def test_bytes_like_objects_are_accepted(kind):
    assert crc32c(kind(b"123456789")) == 0xE3069283


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), TypeError),
        ((b"", 0, 0), TypeError),
        (("text",), TypeError),
        ((b"", "0"), TypeError),
        ((b"", 1.0), TypeError),
        ((b"", -1), OverflowError),
        ((b"", 2**32), OverflowError),
        ((b"", 2**64), OverflowError),
        ((memoryview(bytes(10))[::2],), BufferError),
    ],
)
def test_invalid_arguments_are_rejected(arguments, error):
    with pytest.raises(error):
        crc32c(*arguments)


@pytest.mark.parametrize("size", [9, 10_000])
def test_buffer_is_released(size):
    data = bytearray(size)
    crc32c(data)
    with pytest.raises(OverflowError):
        crc32c(data, -1)
    data.append(0)  # raises BufferError if the buffer is still in use


def test_signature_is_positional():
    with pytest.raises(TypeError):
        crc32c(data=b"")
    assert str(inspect.signature(crc32c)) == "(data, value=0, /)"
    assert inspect.getdoc(crc32c).startswith("Return the CRC-32C")


def test_loading_again_creates_independent_module():
    first, second = load_again(), load_again()
    assert first is not second
    del first
    assert second.crc32c(b"123456789") == 0xE3069283


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs interpreters with their own GIL (Python 3.12)")
def test_interpreter_with_own_gil_can_load_module():
    # In a separate process, because the modules that pytest has loaded may not support other interpreters.
    subprocess.run([sys.executable, "-c", f"CODE = {CODE!r}; {RUN_IN_INTERPRETER}"], check=True, timeout=60)


def test_threads_get_correct_values():
    expected = reference_crc32c(LONG)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(crc32c, [LONG] * 100)) == {expected}


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs a free-threaded Python")
def test_gil_stays_disabled():
    assert not sys._is_gil_enabled()
