"""README.md: the tree matches the generated project, and the links exist."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from urllib.parse import unquote

from tests.conftest import APPS, TEMPLATE, Bake

README = (TEMPLATE / "README.md").read_text("utf-8")


def shown_tree() -> list[str]:
    """List the paths in the tree as patterns; prefix each indented one with its directory."""
    block = README.partition("## What you get\n\n```\nacme-sums/\n")[2].partition("\n```")[0]
    shown: list[str] = []
    directory = ""
    for line in block.splitlines():
        indent, rest = re.fullmatch(r"( +)(.*)", line).groups()  # type: ignore[union-attr]
        # Two spaces separate a path from its description, if there is one.
        names = re.split(r" {2,}", rest)[0].split(", ")
        if len(indent) == 2:
            directory = names[0] if names[0].endswith("/") else ""
        shown += [f"{directory}{name}" if len(indent) > 2 else name for name in names]
    return shown


def test_tree_lists_all_generated_files(bake_once: Bake) -> None:
    files = bake_once(project_name="Acme Sums").files
    shown = shown_tree()
    for pattern in shown:
        assert any(fnmatch(name, f"{pattern}*" if pattern.endswith("/") else pattern) for name in files), pattern
    # If any file of a directory is listed, all of its files must be.
    opened = {pattern.rpartition("/")[0] for pattern in shown if not pattern.endswith("/") and "/" in pattern}
    closed = [pattern for pattern in shown if pattern.rstrip("/") not in opened]
    hidden = {name for name in files if not any(fnmatch(name, f"{it}*" if it.endswith("/") else it) for it in closed)}
    assert hidden == set()


def test_readme_links_the_workbook() -> None:
    linked = re.findall(r"\]\((\S*/lessons/README\.md)\)", unquote(README))
    assert [(TEMPLATE / path).is_file() for path in linked] == [True]


def test_readmes_have_at_most_120_lines(bake: Bake) -> None:
    assert len(README.splitlines()) <= 120
    for strategy in ("venv", "all"):
        assert len(bake(strategy=strategy).read("README.md").splitlines()) <= 120


def test_root_entries_are_few_and_explained(bake: Bake) -> None:
    for app in APPS:
        project = bake(app=app)
        entries = {name.partition("/")[0] for name in project.files}
        table = project.read("docs/CONTRIBUTING.md").partition("| why it is in the root |")[2].partition("\n\n")[0]
        explained = {
            name.rstrip("/") for row in re.findall(r"^\| (`.+?) \|", table, re.M) for name in row.split("`")[1::2]
        }
        assert explained == entries
        assert len(entries) <= 18
