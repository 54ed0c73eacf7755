"""Look for an input that the compiled module gets wrong. Options are those of libFuzzer."""

import sys

import atheris

# The compiled module gives no feedback; the branches of its twin lead to new inputs.
with atheris.instrument_imports():
    import reference

    from {{ cookiecutter.package_name }} import crc32c


def compare(data: bytes) -> None:
    """Sum the data in two parts, cut where its first byte says, and compare with the reference."""
    cut = data[0] if data else 0
    found = crc32c(data[cut:], crc32c(data[:cut]))
    if found != reference.crc32c(data):
        raise AssertionError(f"{data!r}: {found:08x}")


atheris.Setup(sys.argv, compare)
atheris.Fuzz()
