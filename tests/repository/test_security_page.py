"""docs/security.md lists exactly the tests that `make attack` runs, and how often they repeat an attack."""

from __future__ import annotations

import re

from tests.conftest import TEMPLATE

ROW = re.compile(r"^\| [^|]+ \|([\d, ]*)\| [^|]+ \| `(tests/\S+)::(test_\w+)` \|$", re.MULTILINE)
PAGE = (TEMPLATE / "docs/security.md").read_text("utf-8")


def marked_tests() -> set[tuple[str, str]]:
    """Return the file and the name of each test with the marker `attack`."""
    found = set()
    for path in (TEMPLATE / "tests").rglob("test_*.py"):
        text = path.read_text("utf-8")
        # Of one function, or of all tests in a file.
        marked = r"^@pytest\.mark\.attack\n(?:@.*\n|[ ).].*\n)*def (test_\w+)"
        pattern = r"^def (test_\w+)" if "\npytestmark = pytest.mark.attack\n" in text else marked
        found |= {(path.relative_to(TEMPLATE).as_posix(), name) for name in re.findall(pattern, text, re.MULTILINE)}
    return found


def test_page_lists_all_attacks() -> None:
    assert {(path, name) for _, path, name in ROW.findall(PAGE)} == marked_tests()


def test_page_says_how_often_attacks_are_repeated() -> None:
    for counts, path, name in ROW.findall(PAGE):
        text = (TEMPLATE / path).read_text("utf-8").replace("_", "")
        if counts.strip():
            assert f"attempts({counts.strip()})" in text, name
