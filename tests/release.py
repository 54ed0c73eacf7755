"""Make GitHub's release of a tag, with what CHANGELOG.md tells of that version: `python -m tests.release TAG`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.md"
# The newest of these headings is the one place where the template's version stands.
SECTION = re.compile(r"^## (\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def sections(changelog: str) -> dict[str, str]:
    """Map each version to what is told of it, the newest version first."""
    return {version: text.strip() for version, text in SECTION.findall(changelog)}


def notes(changelog: str, tag: str) -> str:
    """Return what is told of the version that a tag names.

    Raises:
        ValueError: the tag is not that of the newest version, or nothing is told.

    """
    newest, told = next(iter(sections(changelog).items()), ("", ""))
    if tag != f"v{newest}":
        raise ValueError(f"the tag is {tag}, and the newest version in {CHANGELOG.name} is {newest or 'none'}")
    if not told:
        raise ValueError(f"{CHANGELOG.name} tells nothing of {newest}")
    return told


def main(tag: str) -> None:
    """Make the release; gh knows the repository and the token from its environment."""
    text = notes(CHANGELOG.read_text("utf-8"), tag)
    create = ["gh", "release", "create", tag, "--verify-tag", f"--title={tag}", "--notes-file=-"]
    subprocess.run(create, input=text, text=True, check=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except TypeError:
        sys.exit("usage: python -m tests.release TAG")
    except ValueError as error:
        sys.exit(f"release: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"release: gh failed with status {error.returncode}, see above")
