"""Create the GitHub release of a tag from its section in CHANGELOG.md: `python -m tools.release TAG`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.md"
# The newest of these headings is the only place that records the template's version.
SECTION = re.compile(r"^## (\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def sections(changelog: str) -> dict[str, str]:
    """Map each version to the text of its section, newest first."""
    return {version: text.strip() for version, text in SECTION.findall(changelog)}


def notes(changelog: str, tag: str) -> str:
    """Return the section of the version that a tag names.

    Raises:
        ValueError: if the tag is not that of the newest version, or the section is empty.

    """
    newest, text = next(iter(sections(changelog).items()), ("", ""))
    if tag != f"v{newest}":
        raise ValueError(f"the tag is {tag}, but the newest version in {CHANGELOG.name} is {newest or 'none'}")
    if not text:
        raise ValueError(f"{CHANGELOG.name} does not describe version {newest}")
    return text


def main(tag: str) -> None:
    """Create the release; gh reads the repository and the token from its environment."""
    text = notes(CHANGELOG.read_text("utf-8"), tag)
    create = ["gh", "release", "create", tag, "--verify-tag", f"--title={tag}", "--notes-file=-"]
    subprocess.run(create, input=text, text=True, check=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except TypeError:
        sys.exit("usage: python -m tools.release TAG")
    except ValueError as error:
        sys.exit(f"release: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"release: gh failed with status {error.returncode}; see above")
