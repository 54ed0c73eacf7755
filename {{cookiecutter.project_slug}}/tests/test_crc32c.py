"""The compiled function: right values, any bytes-like object, and clear errors."""

import array
import inspect
import random
import sys

import pytest
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
RANDOM = random.Random(3720).randbytes(10_000)


@pytest.mark.parametrize(("data", "expected"), VECTORS.items())
def test_known_values(data, expected):
    assert crc32c(data) == expected


@pytest.mark.parametrize("size", [*range(40), 4095, 4096, 4097, 10_000])
def test_every_size_agrees_with_the_reference(size):
    assert crc32c(RANDOM[:size]) == reference.crc32c(RANDOM[:size])


@pytest.mark.parametrize("offset", range(1, 9))
def test_every_alignment_agrees_with_the_reference(offset):
    data = memoryview(RANDOM)[offset : offset + 100]
    assert crc32c(data) == reference.crc32c(bytes(data))


@pytest.mark.parametrize("cut", range(41))
def test_parts_add_up_to_the_whole(cut):
    data = RANDOM[:40]
    assert crc32c(data[cut:], crc32c(data[:cut])) == crc32c(data)


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
        ((b"", -1), OverflowError),
        ((b"", 2**32), OverflowError),
        ((b"", 2**64), OverflowError),
        ((memoryview(bytes(10))[::2],), BufferError),
    ],
)
def test_what_cannot_be_summed_is_refused(arguments, error):
    with pytest.raises(error):
        crc32c(*arguments)


def test_a_refused_call_lets_go_of_the_buffer():
    data = bytearray(b"123456789")
    with pytest.raises(OverflowError):
        crc32c(data, -1)
    crc32c(data)
    data.append(0)  # a BufferError if a buffer were still held


def test_the_signature_can_be_read():
    assert str(inspect.signature(crc32c)) == "(data, value=0, /)"


def test_no_reference_is_lost():
    data = RANDOM[:100]
    before = sys.getrefcount(data)
    for _ in range(1000):
        crc32c(data)
    assert sys.getrefcount(data) == before
