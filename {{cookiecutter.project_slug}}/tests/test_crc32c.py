"""The compiled function: right values, any bytes-like object, and clear errors."""

import array
import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from {{ cookiecutter.package_name }} import crc32c

from . import reference

# RFC 3720, appendix B.4, and the usual check value.
VECTORS = {
    b"": 0x00000000,
    b"123456789": 0xE3069283,
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
}
DATA = bytes(range(251)) * 40

values = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(("data", "expected"), VECTORS.items())
def test_known_values(data, expected):
    assert crc32c(data) == expected
    assert reference.crc32c(data) == expected


# A machine that is busy with something else for a moment is no fault.
@settings(deadline=None)
@given(st.binary(max_size=200), values)
def test_any_data_agrees_with_the_reference(data, value):
    assert crc32c(data, value) == reference.crc32c(data, value)


@pytest.mark.parametrize("size", [*range(40), 8191, 8192, 8193, len(DATA)])
def test_every_size_agrees_with_the_reference(size):
    # An array made of a list has no spare byte at its end, as bytes have: a sanitizer sees one too many.
    data = array.array("B", list(DATA[:size]))
    assert crc32c(data) == reference.crc32c(DATA[:size])


@pytest.mark.parametrize("offset", range(1, 9))
def test_every_alignment_agrees_with_the_reference(offset):
    data = memoryview(DATA)[offset : offset + 100]
    assert crc32c(data) == reference.crc32c(bytes(data))


@settings(deadline=None)
@given(st.binary(max_size=100), values)
def test_parts_add_up_to_the_whole_at_every_cut(data, value):
    whole = crc32c(data, value)
    for cut in range(len(data) + 1):
        assert crc32c(data[cut:], crc32c(data[:cut], value)) == whole


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: array.array("B", data)])
def test_any_bytes_like_object_is_taken(kind):
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
def test_what_cannot_be_summed_is_refused(arguments, error):
    with pytest.raises(error):
        crc32c(*arguments)


def test_keyword_arguments_are_refused():
    with pytest.raises(TypeError):
        crc32c(data=b"")


@pytest.mark.parametrize("size", [9, 10_000])
def test_the_buffer_is_let_go(size):
    data = bytearray(size)
    crc32c(data)
    with pytest.raises(OverflowError):
        crc32c(data, -1)
    data.append(0)  # a BufferError if a buffer were still held


def test_the_signature_can_be_read():
    assert str(inspect.signature(crc32c)) == "(data, value=0, /)"
    assert inspect.getdoc(crc32c).startswith("Return the CRC-32C")
