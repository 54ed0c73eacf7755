"""Versions and releases: CHANGELOG.md records the version, and a tag without a section is rejected."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import TEMPLATE
from tools.release import CHANGELOG, notes, sections

TEXT = CHANGELOG.read_text("utf-8")
NEWEST = next(iter(sections(TEXT)), "")
# A fake gh that records its calls, and may fail.
GH = f"""#!{sys.executable}
import json, os, pathlib, sys
pathlib.Path(os.environ["GH_CALL"]).write_text(json.dumps([sys.argv[1:], sys.stdin.read()]))
sys.exit(int(os.environ.get("GH_STATUS", "0")))
"""


def number(version: str) -> tuple[int, ...]:
    """Convert a version to a tuple that can be compared."""
    return tuple(map(int, version.split(".")))


def test_changelog_starts_with_the_newest_version() -> None:
    versions = list(sections(TEXT))
    assert versions == sorted(versions, key=number, reverse=True)
    dates = re.findall(r"^## \d+\.\d+\.\d+ - (\S+)$", TEXT, re.MULTILINE)
    assert dates == sorted(dates, reverse=True)


def test_headings_are_versions_or_unreleased() -> None:
    headings = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
    named = [heading.partition(" - ")[0] for heading in headings if heading != "Unreleased"]
    assert named == list(sections(TEXT))
    assert "Unreleased" not in headings[1:]
    kinds = re.findall(r"^### (.*)$", TEXT, re.MULTILINE)
    assert {*kinds} <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_every_tag_has_a_changelog_section() -> None:
    tags = subprocess.run(["git", "tag", "--list", "v*"], cwd=TEMPLATE, check=True, capture_output=True, text=True)
    assert {*tags.stdout.split()} <= {f"v{version}" for version in sections(TEXT)}


def test_notes_contain_only_the_section_of_the_version() -> None:
    newest, older = "## 1.10.0 - 2026-02-03\n\n### Added\n\n- b\n\n", "## 1.9.0 - 2026-01-02\n\n- a\n"
    changelog = f"# Changelog\n\n## Unreleased\n\n- new\n\n{newest}{older}"
    assert notes(changelog, "v1.10.0") == "### Added\n\n- b"
    for tag in ("v1.9.0", "1.10.0", "v1.10", "main"):
        with pytest.raises(ValueError, match=r"the newest version in CHANGELOG\.md is 1\.10\.0"):
            notes(changelog, tag)
    with pytest.raises(ValueError, match=r"does not describe version 1\.0\.0"):
        notes("## 1.0.0 - 2026-01-02\n\n## 0.9.0 - 2026-01-01\n\n- a\n", "v1.0.0")
    with pytest.raises(ValueError, match="is none"):
        notes("# Changelog\n\n## Unreleased\n", "v1.0.0")


@dataclass(frozen=True)
class Release:
    """The result of the command, and the recorded call of gh."""

    status: int
    stderr: str
    gh_call: list[str]
    text: str


def release(directory: Path, *arguments: str, gh_status: int = 0) -> Release:
    """Run the command with a fake gh that records its calls."""
    program, call = directory / "gh", directory / "call"
    program.write_text(GH, "utf-8")
    program.chmod(0o755)
    call.write_text("[[], null]", "utf-8")
    environment = {
        **os.environ,
        "PATH": f"{directory}{os.pathsep}{os.environ['PATH']}",
        "GH_CALL": str(call),
        "GH_STATUS": str(gh_status),
    }
    command = [sys.executable, "-m", "tools.release", *arguments]
    done = subprocess.run(command, cwd=TEMPLATE, env=environment, capture_output=True, text=True, check=False)
    return Release(done.returncode, done.stderr, *json.loads(call.read_text("utf-8")))


def test_tag_creates_release_with_notes(tmp_path: Path) -> None:
    done = release(tmp_path, f"v{NEWEST}")
    assert (done.status, done.stderr, done.text) == (0, "", sections(TEXT)[NEWEST])
    assert done.gh_call == ["release", "create", f"v{NEWEST}", "--verify-tag", f"--title=v{NEWEST}", "--notes-file=-"]


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["v999.0.0"], 0, "release: the tag is v999.0.0, but the newest version"),
        ([], 0, "usage: python -m tools.release TAG"),
        ([f"v{NEWEST}"], 4, "release: gh failed with status 4; see above"),
    ],
    ids=["no section", "no tag", "gh fails"],
)
def test_failure_gives_one_line_error(tmp_path: Path, arguments: list[str], status: int, sentence: str) -> None:
    done = release(tmp_path, *arguments, gh_status=status)
    assert done.status == 1
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1
    assert bool(done.gh_call) == bool(status)
