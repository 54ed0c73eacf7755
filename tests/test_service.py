"""What an operator is told of the service, against what it does."""

from __future__ import annotations

import re

from tests.conftest import Bake, Build


def test_the_documentation_lists_every_setting_as_the_help_does(bake_once: Bake, build: Build) -> None:
    project = bake_once(project_slug="acme-sums")
    told = build(project).run("acme-sums", "serve", "--help").stdout
    settings = re.findall(r"^  (ACME_SUMS_\w+)\n      (.+) \((?:default: (.+)|optional)\)$", told, re.MULTILINE)
    table = project.read("docs/operating.md")
    rows = re.findall(r"^\| `(ACME_SUMS_\w+)` \|(?: `(.+)`)? \| (.+) \|$", table, re.MULTILINE)
    assert len(settings) >= 8
    assert [(name, text, default) for name, default, text in rows] == settings
