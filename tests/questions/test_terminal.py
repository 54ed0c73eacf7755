"""The prompts as a user sees them: cookiecutter in a pseudo-terminal of 80 columns."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path
from typing import Any

import pexpect
import pytest

import local_extensions
from tests.command import COMMAND, SLUG, clean_environment, read_files
from tests.conftest import QUESTIONS, TEMPLATE, Bake

COLUMNS = 80
PROMPTS: dict[str, Any] = local_extensions.QUESTIONS["__prompts__"]
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# The end of every prompt: the coloured default, a colon and the cursor.
WAITING = r"\x1b\[0m: $"


class Terminal:
    """Cookiecutter in a terminal, with methods to type answers."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        """Start cookiecutter in a directory, with a home directory next to it."""
        home = directory.parent / "home"
        home.mkdir(exist_ok=True)
        directory.mkdir(exist_ok=True)
        self.seen = io.StringIO()
        self.child = pexpect.spawn(
            COMMAND[0],
            [*COMMAND[1:], "--default-config", str(TEMPLATE), *arguments],
            cwd=str(directory),
            env=clean_environment(home, TERM="xterm-256color"),
            dimensions=(24, COLUMNS),
            encoding="utf-8",
            timeout=60,
        )
        self.child.logfile_read = self.seen

    def type(self, *answers: str) -> None:
        """Type each answer when its prompt appears."""
        for answer in answers:
            self.child.expect(WAITING)
            self.child.sendline(answer)

    def end(self) -> int:
        """Wait until the process exits, and return its exit status."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        return int(self.child.exitstatus)

    @property
    def lines(self) -> list[str]:
        """Return the output so far, without colours."""
        return COLOURS.sub("", self.seen.getvalue()).replace("\r", "").split("\n")


def expected_lines(question: str, number: int, default: str) -> list[str]:
    """Return the lines that the terminal should show for a question, before an answer."""
    prompt, start = PROMPTS[question], f"  [{number}/{len(QUESTIONS)}] "
    if isinstance(prompt, str):
        return [f"{start}{prompt} ({default}): "]
    choices = [f"    {place} - {prompt[choice]}" for place, choice in enumerate(QUESTIONS[question], 1)]
    places = "/".join(str(place) for place in range(1, len(choices) + 1))
    return [f"{start}{prompt['__prompt__']}", *choices, f"    Choose from [{places}] (1): "]


def test_prompts_match_cookiecutter_json_and_fit_the_terminal(tmp_path: Path, bake_once: Bake) -> None:
    project = bake_once()
    terminal = Terminal(tmp_path / "work")
    terminal.type(*([""] * len(QUESTIONS)))
    assert terminal.end() == 0
    expected = []
    for number, question in enumerate(QUESTIONS, 1):
        expected += expected_lines(question, number, project.answers[question])
    assert terminal.lines[: len(expected)] == expected
    assert [line for line in terminal.lines if len(line) > COLUMNS] == []
    assert terminal.lines[len(expected) :][:4] == ["", "Your project is ready. Next:", "", f"  cd {SLUG}"]
    assert read_files(tmp_path / "work" / SLUG) == read_files(project.path)


def test_invalid_choice_repeats_the_prompt(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "work")
    texts = [question for question, default in QUESTIONS.items() if isinstance(default, str)]
    terminal.type(*([""] * len(texts)), "6", "MIT", "0", "2", *([""] * (len(QUESTIONS) - len(texts) - 1)))
    assert terminal.end() == 0
    number = list(QUESTIONS).index("license") + 1
    assert terminal.lines.count(f"  [{number}/{len(QUESTIONS)}] {PROMPTS['license']['__prompt__']}") == 4
    assert terminal.lines.count("Please select one of the available options") == 3
    assert (tmp_path / "work" / SLUG / "LICENSE").read_text("utf-8").lstrip().startswith("Apache License")


def test_hint_after_rejected_answer_restores_the_valid_answers(tmp_path: Path) -> None:
    work = tmp_path / "work"
    terminal = Terminal(work)
    texts = ("Acme's [Sums]", "My App", "acme", "What it does", "Ada Lovelace", "ada@example.com")
    terminal.type(*texts, *([""] * (len(QUESTIONS) - len(texts) - 1)), "3")
    assert terminal.end() == 1
    assert list(work.iterdir()) == []
    rejection, hint, end, _ = terminal.lines[-4:]
    assert end == "Hook script failed (exit status: 1)"
    assert rejection.startswith('project_slug: "My App" is not valid. Use ')
    start = "To keep your other answers, add them to the command: "
    assert hint.startswith(start)
    terminal = Terminal(work, *shlex.split(hint.removeprefix(start)))
    terminal.type(*([""] * len(QUESTIONS)))
    assert terminal.end() == 0
    assert f"  [1/12] {PROMPTS['project_name']} (Acme's [Sums]): " in terminal.lines
    assert f"  [2/12] {PROMPTS['project_slug']} (acme-s-sums): " in terminal.lines
    assert f"  [6/12] {PROMPTS['author_email']} (ada@example.com): " in terminal.lines
    assert (work / "acme-s-sums/src/acme/__init__.py").is_file()
    assert not (work / "acme-s-sums/.github").exists()


def test_template_syntax_at_a_prompt_is_not_rendered(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "work")
    terminal.type("{{ 7*7 }}", "acme", *([""] * (len(QUESTIONS) - 2)))
    assert terminal.end() == 1
    assert 'project_name: "{{ 7*7 }}" contains template syntax. Remove' in "\n".join(terminal.lines)
    assert not any("Traceback" in line for line in terminal.lines)
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("key", ["c", "d"])
@pytest.mark.parametrize("answered", [0, 7], ids=["at a text", "at a choice"])
def test_ctrl_c_and_ctrl_d_create_nothing(tmp_path: Path, answered: int, key: str) -> None:
    terminal = Terminal(tmp_path / "work")
    terminal.type(*([""] * answered))
    terminal.child.expect(WAITING)
    terminal.child.sendcontrol(key)
    assert terminal.end() == 1
    assert terminal.lines[-2:] == ["Aborted!", ""]
    assert not any("Traceback" in line for line in terminal.lines)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list((tmp_path / "work").iterdir()) == []


def example_session() -> list[str]:
    """Return the lines of the README's example session that show prompts."""
    blocks = re.findall(r"^```\n(.*?)^```$", (TEMPLATE / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = next(block for block in blocks if "[1/" in block).splitlines()
    return [line for line in lines if re.match(r"  +[\[\d]", line)]


def test_readme_example_session_matches_the_terminal(tmp_path: Path) -> None:
    lines = example_session()
    assert len(lines) > 5
    # Type the README's answers, and accept the default for all other prompts.
    typed = {int(found[1]): found[2] for line in lines if (found := re.match(r"  \[(\d+)/\d+\] .*\): (.+)$", line))}
    assert typed
    terminal = Terminal(tmp_path / "work")
    terminal.type(*(typed.get(number, "") for number in range(1, len(QUESTIONS) + 1)))
    assert terminal.end() == 0
    seen = [line.rstrip() for line in terminal.lines]
    assert [line for line in lines if line.rstrip() not in seen] == []
