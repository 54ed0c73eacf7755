"""`docs/questions.md` explains every question and every choice, and what it says of rules and files is so."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from typing import Any

import pytest

import local_extensions
from tests.command import files
from tests.conftest import QUESTIONS, TEMPLATE, Bake

PAGE = (TEMPLATE / "docs/questions.md").read_text("utf-8")
PROMPTS: dict[str, Any] = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))["__prompts__"]
SECTIONS = dict(re.findall(r"^## `(\w+)`\n\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL))
TEXTS = [question for question, default in QUESTIONS.items() if isinstance(default, str)]
CHOICES = [question for question in QUESTIONS if question not in TEXTS]
# Another answer to every text, which no other text has in it.
OTHER = {
    "project_name": "Another",
    "project_slug": "another",
    "package_name": "another",
    "description": "Another.",
    "author_name": "Another",
    "author_email": "another@example.com",
}
# Fixed, so that no answer changes because another one does.
NAMES = {"project_slug": "base", "package_name": "base"}


def items(question: str) -> dict[str, str]:
    """Return what the list of a section says, by its first word."""
    found = re.findall(r"^- (\S.*?)(?:: | - )(.*(?:\n  .*)*)", SECTIONS[question], re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def quoted(text: str) -> list[str]:
    """Return what stands in backquotes."""
    return re.findall(r"`([^`]+)`", text)


def test_every_question_has_a_section_in_order() -> None:
    assert list(SECTIONS) == list(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_section_begins_with_the_question_and_tells_what_to_do_in_doubt_and_later(question: str) -> None:
    prompt = PROMPTS[question] if question in TEXTS else PROMPTS[question]["__prompt__"]
    assert SECTIONS[question].startswith(f"{prompt}\n\n")
    assert list(items(question))[-3:] == ["Files", "In doubt", "Later"]
    assert all(items(question).values())


@pytest.mark.parametrize("question", CHOICES)
def test_every_choice_is_explained_in_order_and_in_the_words_of_the_question(question: str) -> None:
    explained = {name.strip("`"): text for name, text in items(question).items() if name.startswith("`")}
    assert list(explained) == QUESTIONS[question]
    for choice, text in explained.items():
        label = PROMPTS[question][choice]
        # More than the label, which is all that the terminal shows.
        assert re.match(rf"{re.escape(label)}[:.] \S", text), text


@pytest.mark.parametrize("question", TEXTS)
def test_what_is_called_accepted_is_accepted_and_what_is_called_refused_is_refused(question: str) -> None:
    accepted, refused = quoted(items(question)["Accepted"]), quoted(items(question)["Refused"])
    assert accepted
    assert refused
    assert [answer for answer in accepted if local_extensions.problem(question, answer)] == []
    assert [answer for answer in refused if not local_extensions.problem(question, answer)] == []
    blank_is_said = "nothing or blanks alone" in items(question)["Refused"]
    assert blank_is_said == (local_extensions.RULES[question][0] is local_extensions.is_text)
    assert local_extensions.problem(question, "") is not None


def test_the_page_tells_how_long_a_name_may_be() -> None:
    assert local_extensions.problem("project_slug", "a" * 63) is None
    assert local_extensions.problem("project_slug", "a" * 64) is not None
    for question in ("project_slug", "package_name"):
        assert "at most 63\ncharacters" in SECTIONS[question] or "at most 63 characters" in SECTIONS[question]


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_files_that_an_answer_changes_are_those_that_are_listed(question: str, bake_once: Bake) -> None:
    base, changed = files(bake_once(**NAMES).path), set()
    # Where a choice brings files, each of them counts; else one other answer shows which files have it.
    brings_files = question in ("strategy", "ci")
    others = QUESTIONS[question][1 : None if brings_files else 2] if question in CHOICES else [OTHER[question]]
    for other in others:
        project = files(bake_once(**{**NAMES, question: other}).path)
        changed |= {name for name in project.keys() | base.keys() if project.get(name) != base.get(name)}
    listed = quoted(items(question)["Files"])
    assert [name for name in sorted(changed) if not any(fnmatch(name, pattern) for pattern in listed)] == []
    assert [pattern for pattern in listed if not any(fnmatch(name, pattern) for name in changed)] == []
