"""The C extension."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acme import distance


def reference_distance(a, b):
    """Return the distance by its definition."""
    if not a or not b:
        return len(a) + len(b)
    replaced = reference_distance(a[1:], b[1:]) + (a[0] != b[0])
    return min(replaced, reference_distance(a[1:], b) + 1, reference_distance(a, b[1:]) + 1)


@pytest.mark.parametrize(
    ("a", "b", "expected"), [("", "", 0), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("", "é🐍", 2)]
)
def test_known_distances(a, b, expected):
    assert distance(a, b) == expected


@given(st.text(max_size=5), st.text(max_size=5))
def test_any_texts_agree_with_reference(a, b):
    assert distance(a, b) == reference_distance(a, b)


def test_long_texts_in_threads():
    with ThreadPoolExecutor(4) as pool:
        assert {*pool.map(distance, ["a" * 1000] * 8, ["b" * 900] * 8)} == {1000}


@pytest.mark.parametrize("arguments", [(), ("a",), ("a", b"b"), (1, "b")])
def test_other_arguments_are_type_errors(arguments):
    with pytest.raises(TypeError):
        distance(*arguments)
