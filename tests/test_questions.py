"""Answers: invalid ones are rejected with a one-line message, and all others are preserved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException

from tests.conftest import QUESTIONS, TEMPLATE, Bake, Build

INVALID_ANSWERS = [
    ("project_name", ""),
    ("project_name", "  "),
    ("project_slug", ""),
    ("project_slug", "../x"),
    ("project_slug", "My-App"),
    ("project_slug", "my_app"),
    ("project_slug", "-app"),
    ("project_slug", "app-"),
    ("project_slug", "a--b"),
    ("project_slug", "1app"),
    ("project_slug", "app\n"),
    ("project_slug", "a" * 64),
    ("project_slug", "class"),
    ("project_slug", "json"),
    ("project_slug", "python"),
    ("project_slug", "fastapi"),
    ("project_slug", "typing-extensions"),
    ("project_slug", "con"),
    ("project_slug", "null"),
    ("project_slug", "on"),
    ("package_name", ""),
    ("package_name", "my-app"),
    ("package_name", "../x"),
    ("package_name", "a.b"),
    ("package_name", "1app"),
    ("package_name", "import"),
    ("package_name", "email"),
    ("package_name", "pydantic_core"),
    ("package_name", "tests"),
    ("package_name", "ünicode"),
    ("description", ""),
    ("author_name", "\t"),
    ("author_email", ""),
    ("author_email", "nobody"),
    ("author_email", "@example.com"),
    ("author_email", "a b@example.com"),
    ("author_email", "a@b\nX: y@c"),
]

# Text that breaks a file if it is inserted without escaping: quotes, escapes, line breaks, other scripts.
NASTY = "\"double\" 'single' `back` \\n \\ $HOME ${x} #no */ %s '''three''' \"\"\"three\"\"\" 北京 é 🐍 <&>"


def cookiecutter(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the cookiecutter command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", "--default-config", "--no-input", str(TEMPLATE), *arguments],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )


@pytest.mark.parametrize(("question", "answer"), INVALID_ANSWERS)
def test_invalid_answer_gives_one_line_error(bake: Bake, question: str, answer: str) -> None:
    with pytest.raises(FailedHookException) as rejection:
        bake(**{question: answer})
    message = str(rejection.value)
    assert message.startswith(f"{question}: {json.dumps(answer)} is not valid. Use ")
    assert message.endswith('".')
    assert "for example" in message
    assert "\n" not in message
    assert message.isascii()


@pytest.mark.parametrize("question", ["project_name", "project_slug", "package_name", "description", "author_name"])
@pytest.mark.parametrize("answer", ["{{ 7*7 }}", "{{", "{% raw %}", "{# x", "A cookiecutter for {{ x }}"])
def test_template_syntax_in_answer_is_rejected(bake: Bake, question: str, answer: str) -> None:
    with pytest.raises(FailedHookException, match=f"^{question}: .* contains template syntax"):
        bake(**{question: answer})


@pytest.mark.parametrize(
    "answer", ["project_slug=../x", "project_name={{ 7*7 }}", "project_name={{", "author_email=nobody"]
)
def test_rejected_answer_gives_no_traceback_and_no_files(tmp_path: Path, answer: str) -> None:
    work_dir = tmp_path / "work" / "here"
    work_dir.mkdir(parents=True)
    result = cookiecutter(work_dir, answer)
    assert result.returncode != 0
    assert "Traceback" not in result.stdout + result.stderr
    assert len((result.stdout + result.stderr).strip().splitlines()) == 1
    assert [path for path in tmp_path.rglob("*") if "work" not in path.name and "here" not in path.name] == []


def test_invalid_answer_in_replay_is_rejected(tmp_path: Path) -> None:
    assert cookiecutter(tmp_path).returncode == 0
    (replay,) = (tmp_path / ".cookiecutter_replay").glob("*.json")
    context = json.loads(replay.read_text("utf-8"))
    context["cookiecutter"]["project_slug"] = "Not A Slug"
    replay.write_text(json.dumps(context), "utf-8")
    command = [sys.executable, "-m", "cookiecutter", "--default-config", "--replay", str(TEMPLATE)]
    result = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert 'project_slug: "Not A Slug" is not valid' in result.stdout + result.stderr
    assert not (tmp_path / "Not A Slug").exists()


def test_slug_and_package_name_are_derived(bake: Bake) -> None:
    project = bake(project_name="Mein Café 2")
    assert (project.slug, project.package) == ("mein-cafe-2", "mein_cafe_2")


def test_each_of_at_most_eleven_questions_has_a_prompt() -> None:
    template = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
    prompts = template["__prompts__"]
    assert len(QUESTIONS) <= 11
    assert prompts.keys() == QUESTIONS.keys()
    for question, default in QUESTIONS.items():
        if isinstance(default, list):
            assert prompts[question].keys() == {"__prompt__", *default}


@pytest.mark.parametrize("text", [NASTY, f"{NASTY}\nand a second line"], ids=["one line", "two lines"])
def test_any_text_is_preserved(bake: Bake, text: str) -> None:
    project = bake(project_name=text, project_slug="nasty", description=text, author_name=text)
    readme, licence = project.read("README.md"), project.read("LICENSE")
    assert f"# {text}\n" in readme
    assert f"\n{text}\n" in readme.split("\n", 1)[1]
    assert f" {text}\n" in licence
    metadata = tomllib.loads(project.read("pyproject.toml"))["project"]
    one_line = text.replace("\n", " ")
    assert metadata["description"] == one_line
    assert metadata["authors"] == [{"name": one_line, "email": QUESTIONS["author_email"]}]


def test_image_labels_preserve_any_text(bake_once: Bake, build: Build) -> None:
    text = f"{NASTY}\nand a second line"
    project = bake_once(project_name=text, project_slug="nasty", description=text, author_name=text, app="cli")
    image = build(project)
    one_line = text.replace("\n", " ")
    labels = image.config()["Labels"]
    assert labels["org.opencontainers.image.description"] == one_line
    assert labels["org.opencontainers.image.authors"] == f"{one_line} <{QUESTIONS['author_email']}>"
    script = "import importlib.metadata as m; print(m.metadata('nasty')['Summary'])"
    assert image.run("python", "-X", "utf8", "-c", script).stdout == f"{one_line}\n"


@pytest.mark.parametrize("licence", QUESTIONS["license"])
def test_licence_has_its_text_and_spdx_expression(bake: Bake, licence: str) -> None:
    project = bake(license=licence)
    first_words = {
        "MIT": "MIT License",
        "Apache-2.0": "Apache License",
        "BSD-3-Clause": "BSD 3-Clause License",
        "GPL-3.0-or-later": "GNU GENERAL PUBLIC LICENSE",
        "Proprietary": "Copyright (c)",
    }
    assert project.read("LICENSE").strip().startswith(first_words[licence])
    expression = tomllib.loads(project.read("pyproject.toml"))["project"]["license"]
    assert expression == ("LicenseRef-Proprietary" if licence == "Proprietary" else licence)


def test_generation_works_in_an_ascii_locale(tmp_path: Path) -> None:
    result = cookiecutter(tmp_path, "project_slug=ascii-only", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert result.returncode == 0, result.stderr
    assert "cd ascii-only" in result.stdout
    assert result.stdout.isascii()
