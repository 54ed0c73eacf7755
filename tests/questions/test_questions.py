"""Answers: invalid ones are rejected with a one-line message, and all others are preserved."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.command import clean_environment, problem
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


def cookiecutter(
    directory: Path,
    *arguments: str,
    options: tuple[str, ...] = ("--default-config", "--no-input"),
    input: str = "",  # noqa: A002
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run the cookiecutter command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", *options, str(TEMPLATE), *arguments],
        cwd=directory,
        input=input,
        env=clean_environment(directory, **environment),
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )


@pytest.mark.parametrize(("question", "answer"), INVALID_ANSWERS)
def test_invalid_answer_gives_one_line_error(question: str, answer: str) -> None:
    message = problem(question, answer)
    assert message
    assert message.startswith(f"{question}: {json.dumps(answer)} is not valid. Use ")
    assert message.endswith('".')
    assert "for example" in message
    assert "\n" not in message
    assert message.isascii()


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("answer", ["{{ 7*7 }}", "{{", "{% raw %}", "{# x", "A cookiecutter for {{ x }}"])
def test_template_syntax_in_answer_is_rejected(question: str, answer: str) -> None:
    assert f"{question}: {json.dumps(answer)} contains template syntax. Remove " in str(problem(question, answer))


@pytest.mark.parametrize("answer", ["project_slug=../x", "project_slug=Acme", "project_name= ", "author_email=nobody"])
def test_rejected_answer_gives_no_traceback_and_no_files(tmp_path: Path, answer: str) -> None:
    work_dir = tmp_path / "work" / "here"
    work_dir.mkdir(parents=True)
    result = cookiecutter(work_dir, answer)
    assert result.returncode == 1
    assert result.stdout == "Hook script failed (exit status: 1)\n"
    question, _, value = answer.partition("=")
    assert result.stderr.startswith(f"{question}: {json.dumps(value)} is not valid. Use ")
    assert result.stderr.count("\n") == 1
    assert [path.name for path in work_dir.iterdir()] == [".cookiecutter_replay"]
    assert list(work_dir.parent.iterdir()) == [work_dir]


def replay(directory: Path, **changes: object) -> subprocess.CompletedProcess[str]:
    """Replay the default answers with changes."""
    assert cookiecutter(directory, "--output-dir", "first").returncode == 0
    (saved,) = (directory / ".cookiecutter_replay").glob("*.json")
    context = json.loads(saved.read_text("utf-8"))
    context["cookiecutter"] |= changes
    saved.write_text(json.dumps(context), "utf-8")
    return cookiecutter(directory, options=("--default-config", "--replay"))


@pytest.mark.attack
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("project_slug", "Not A Slug"),
        ("project_slug", None),
        ("project_name", "{{ 7*7 }}"),
        ("package_name", 5),
        ("description", ["a", "b"]),
        ("license", "Beerware"),
        ("license", {"MIT": 1}),
        ("python_version", "3.14\nRUN id"),
        ("python_version", 3.14),
        ("strategy", None),
    ],
)
def test_invalid_answer_in_replay_is_rejected(tmp_path: Path, question: str, answer: object) -> None:
    result = replay(tmp_path, **{question: answer})
    assert result.returncode == 1
    assert result.stdout == "Hook script failed (exit status: 1)\n"
    assert result.stderr.startswith(f"{question}: {json.dumps(answer)} ")
    assert result.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {".cookiecutter_replay", "first"}


@pytest.mark.attack
@pytest.mark.parametrize("copied", [["*"], [], None])
def test_replay_that_copies_other_files_without_rendering_is_rejected(tmp_path: Path, copied: object) -> None:
    result = replay(tmp_path, _copy_without_render=copied)
    assert result.returncode == 1
    assert result.stderr.startswith("_copy_without_render is outdated. Replace --replay with arguments; ")
    assert result.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {".cookiecutter_replay", "first"}


@pytest.mark.parametrize(
    ("question", "answer", "shown"),
    [("project_name", "null", "null"), ("project_slug", "null", "null"), ("description", "true", "true")],
)
def test_configured_answer_of_wrong_type_is_rejected(tmp_path: Path, question: str, answer: str, shown: str) -> None:
    configuration = tmp_path / "config.yaml"
    configuration.write_text(f"default_context: {{{question}: {answer}}}\n", "utf-8")
    result = cookiecutter(tmp_path, f"--config-file={configuration}", options=("--no-input",))
    assert result.returncode == 1
    assert result.stderr.startswith(f"{question}: {shown} is not text.")
    assert result.stderr.count("\n") == 1


def test_declined_hooks_are_rejected_in_one_line(tmp_path: Path) -> None:
    result = cookiecutter(tmp_path, "--accept-hooks=no")
    assert result.returncode == 1
    assert result.stdout == "This template needs its hooks. Run cookiecutter without --accept-hooks=no.\n"
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_project_without_hooks_contains_an_explanation(tmp_path: Path) -> None:
    result = cookiecutter(tmp_path, "--accept-hooks=ask", input="n\n")
    assert result.returncode == 0
    text = (tmp_path / "checksum-service/_variants/README.md").read_text("utf-8")
    assert text.startswith("# This project is incomplete\n\nThe template's hooks did not run.")


def test_slug_and_package_name_are_derived(bake: Bake) -> None:
    project = bake(project_name="Mein Café 2")
    assert (project.slug, project.package) == ("mein-cafe-2", "mein_cafe_2")


def test_each_of_at_most_twelve_questions_has_a_prompt() -> None:
    template = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
    prompts = template["__prompts__"]
    assert len(QUESTIONS) <= 12
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
