"""`docs/questions.md` explains every question and choice; the rules and file lists in it are correct."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import Any

import pytest

import local_extensions
from tests.command import load_rules, problem, read_files
from tests.conftest import QUESTIONS, TEMPLATE, Bake

PAGE = (TEMPLATE / "docs/questions.md").read_text("utf-8")
PROMPTS: dict[str, Any] = local_extensions.QUESTIONS["__prompts__"]
SECTIONS = dict(re.findall(r"^## `(\w+)`\n\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL))
TEXTS = [question for question, default in QUESTIONS.items() if isinstance(default, str)]
CHOICES = [question for question in QUESTIONS if question not in TEXTS]
# A different answer to every text question, which no other answer contains.
OTHER = {
    "project_name": "Another",
    "project_slug": "another",
    "package_name": "another",
    "description": "Another.",
    "author_name": "Another",
    "author_email": "another@example.com",
}
# Fixed, so that these names are not derived from a changed answer.
NAMES = {"project_slug": "base", "package_name": "base"}


def items(question: str) -> dict[str, str]:
    """Map the first word of each list item in a section to its text."""
    found = re.findall(r"^- (\S.*?)(?:: | - )(.*(?:\n  .*)*)", SECTIONS[question], re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def code_spans(text: str) -> list[str]:
    """List the code spans in a text."""
    return re.findall(r"`([^`]+)`", text)


def test_every_question_has_a_section_in_order() -> None:
    assert list(SECTIONS) == list(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS)
def test_section_has_prompt_files_advice_and_change_instructions(question: str) -> None:
    prompt = PROMPTS[question] if question in TEXTS else PROMPTS[question]["__prompt__"]
    assert SECTIONS[question].startswith(f"{prompt}\n\n")
    assert list(items(question))[-3:] == ["Files", "If unsure", "Later"]
    assert all(items(question).values())


@pytest.mark.parametrize("question", CHOICES)
def test_choices_are_explained_in_order_under_their_labels(question: str) -> None:
    explained = {name.strip("`"): text for name, text in items(question).items() if name.startswith("`")}
    assert list(explained) == QUESTIONS[question]
    for choice, text in explained.items():
        label = PROMPTS[question][choice]
        # The terminal shows only the label; the page must add something.
        assert re.match(rf"{re.escape(label)}[:.] \S", text), text


@pytest.mark.parametrize("question", TEXTS)
def test_example_answers_are_accepted_or_rejected_as_listed(question: str) -> None:
    accepted, rejected = code_spans(items(question)["Accepted"]), code_spans(items(question)["Rejected"])
    assert accepted
    assert rejected
    assert [answer for answer in accepted if problem(question, answer)] == []
    assert [answer for answer in rejected if not problem(question, answer)] == []
    mentions_blank = "empty or only whitespace" in items(question)["Rejected"]
    assert mentions_blank == (load_rules()[question][0] is load_rules()["description"][0])
    assert problem(question, "") is not None


def test_page_states_maximum_name_length() -> None:
    assert problem("project_slug", "a" * 63) is None
    assert problem("project_slug", "a" * 64) is not None
    for question in ("project_slug", "package_name"):
        assert "at most 63\ncharacters" in SECTIONS[question] or "at most 63 characters" in SECTIONS[question]


@pytest.mark.parametrize("question", QUESTIONS)
def test_listed_files_match_files_changed_by_answer(question: str, bake_once: Bake) -> None:
    changed: set[str] = set()
    # If choices add files, compare all of them; otherwise one other answer shows which files depend on it.
    adds_files = question in ("strategy", "runtime", "ci")
    others = QUESTIONS[question][1 : None if adds_files else 2] if question in CHOICES else [OTHER[question]]
    # The app and the CI service determine which pipeline files an answer changes.
    for context in ({}, {"app": "cli", "ci": "gitlab"}):
        answers = {**NAMES, **{name: answer for name, answer in context.items() if name != question}}
        base = read_files(bake_once(**answers).path)
        for other in others:
            project = read_files(bake_once(**{**answers, question: other}).path)
            changed |= {name for name in project.keys() | base.keys() if project.get(name) != base.get(name)}
    listed = code_spans(items(question)["Files"])
    assert [name for name in sorted(changed) if not any(fnmatch(name, pattern) for pattern in listed)] == []
    assert [pattern for pattern in listed if not any(fnmatch(name, pattern) for name in changed)] == []
