"""docs/updating.md: the commands are run in the order of the page, and print what the page shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import TEMPLATE, skip_without_jq
from tests.generation.updates import make_template

PAGE = (TEMPLATE / "docs/updating.md").read_text("utf-8")
SECTION = re.compile(r"^## (.*)$\n", re.MULTILINE)
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Commands that run before a section: they release a template version, or edit a file as a user would.
BEFORE = {
    "See what is new and what you changed": """
        git -C ../template reset --quiet --hard v2
        sed --in-place 's/PYTHON ?= python3$/PYTHON ?= python3.99/' Makefile
        git commit --quiet --all --message mine
        """,
    "Conflicts": """
        git -C ../template reset --quiet --hard v3
        sed --in-place 's/Version 2: before you submit a change/Mine: before you submit a change/' docs/CONTRIBUTING.md
        git commit --quiet --all --message mine
        """,
    # A second clone, in which git writes no conflict markers without the commands of this section.
    "When git cannot merge": """
        git clone --quiet "file://$PWD" ../elsewhere
        cd ../elsewhere
        git -C ../template reset --quiet --hard v4
        cruft update --skip-apply-ask
        test -f docs/CONTRIBUTING.md.rej
        git reset --quiet --hard
        git clean --quiet --force
        """,
    "Exclude files that you have replaced": """
        git -C ../template reset --quiet --hard v5
        sed --in-place 's/Version 4: before you submit a change/Mine: before you submit a change/' docs/CONTRIBUTING.md
        git commit --quiet --all --message mine
        """,
}
# cruft exits with an error status if there is an update.
FAILS = "FAILURE: "


@dataclass(frozen=True)
class Command:
    """A command of the page, and the output lines below it."""

    section: str
    text: str
    shown: list[str]


def commands() -> list[Command]:
    """Parse the commands of the page."""
    _, *parts = SECTION.split(PAGE)
    sections = zip(parts[::2], parts[1::2], strict=True)
    blocks = [(title, block) for title, text in sections for block in BLOCK.findall(text)]
    pieces = [(title, piece.splitlines()) for title, block in blocks for piece in re.split(r"^\$ ", block, flags=re.M)]
    return [Command(title, lines[0], lines[1:]) for title, lines in pieces if lines]


def script() -> str:
    """Return a shell script that runs all commands, and prints each one's number and exit status."""
    lines = []
    pending = dict(BEFORE)
    for number, command in enumerate(commands()):
        before = pending.pop(command.section, ":")
        lines += [f"set -e\n{before}\nset +e", f"echo '@{number}'"]
        # Answer every prompt with Enter, which prints no newline.
        lines += [f'{{ {command.text}\n}} 2>&1 < "$ENTER"', r"printf '\n@%s\n' $?"]
    assert not pending, f"no such section: {pending.keys()}"
    return "\n".join(lines)


def test_commands_print_documented_output(tmp_path: Path) -> None:
    skip_without_jq()
    template = make_template(tmp_path)
    template.release("v1")
    (tmp_path / "enter").write_text("\n" * 30, "utf-8")
    result = template.run(tmp_path, "bash", "-c", script(), ENTER=str(tmp_path / "enter"))
    assert "Traceback" not in result.stdout
    results = re.findall(r"^@\d+\n(.*?)^@(\d+)$", result.stdout, re.MULTILINE | re.DOTALL)
    for command, (printed, status) in zip(commands(), results, strict=True):
        assert (status == "0") != any(line.startswith(FAILS) for line in command.shown), (command, printed)
        for line in command.shown:
            assert line in printed.splitlines(), (command, printed)


def test_page_uses_every_cruft_command() -> None:
    subcommands = {command.text.split()[1] for command in commands() if command.text.startswith("cruft ")}
    assert subcommands == {"check", "create", "diff", "link", "update"}
    # Blocks of any other kind would not be run.
    assert set(re.findall(r"^```(.+)$", PAGE, re.MULTILINE)) == {"console"}
    assert len(re.findall(r"^```$", PAGE, re.MULTILINE)) == len(BLOCK.findall(PAGE))
