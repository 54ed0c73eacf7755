"""The hooks and the Jinja extension: unit tests, and checks of the template's variants."""

from __future__ import annotations

import signal
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cookiecutter.exceptions import FailedHookException

import local_extensions
from tests.command import load_hook, load_rules, problem
from tests.conftest import QUESTIONS, TEMPLATE

pre_gen = load_hook("pre_gen_project")
post_gen = load_hook("post_gen_project")
PROJECT = TEMPLATE / "{{cookiecutter.project_slug}}"


def write(directory: Path, files: dict[str, str]) -> None:
    """Write text files, and create their parent directories."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def read_texts(directory: Path) -> dict[str, str]:
    """Map every file in a directory to its text."""
    return {
        path.relative_to(directory).as_posix(): path.read_text("utf-8")
        for path in directory.rglob("*")
        if path.is_file()
    }


VARIANTS = {
    "_variants/README.md": "The hooks did not run.",
    "_variants/skipped": "no\n",
    "_variants/strategy/red/Dockerfile": "red",
    "_variants/strategy/blue/Dockerfile": "blue",
    "_variants/strategy/blue/tools/.env": "paint",
    "_variants/strategy/all/bake.hcl": "bake",
    "_variants/license/MIT/LICENSE": "MIT",
    "_variants/license/Proprietary/LICENSE": "Proprietary",
    "_variants/publish/github/publish.yml": "publish",
    "_variants/publish/none/.gitkeep": "",
}


def create_answers(strategy: str, license_: str = "MIT", ci: str = "none", app: str = "cli") -> dict[str, str]:
    """Return the answers that the post-generation hook reads."""
    return {"strategy": strategy, "license": license_, "ci": ci, "app": app}


def test_files_of_chosen_answers_move_into_project(tmp_path: Path) -> None:
    write(tmp_path, {**VARIANTS, "kept.txt": "kept"})
    assert post_gen.apply_variants(tmp_path, create_answers("blue")) == []
    assert read_texts(tmp_path) == {"kept.txt": "kept", "Dockerfile": "blue", "tools/.env": "paint", "LICENSE": "MIT"}
    assert not (tmp_path / "_variants").exists()


def test_strategy_all_moves_dockerfiles_into_strategies(tmp_path: Path) -> None:
    write(tmp_path, VARIANTS)
    post_gen.apply_variants(tmp_path, create_answers("all"))
    assert read_texts(tmp_path) == {
        "strategies/red/Dockerfile": "red",
        "strategies/blue/Dockerfile": "blue",
        "tools/.env": "paint",
        "bake.hcl": "bake",
        "LICENSE": "MIT",
    }


@pytest.mark.parametrize(
    ("license_", "app", "published"),
    [("MIT", "cli", True), ("MIT", "service", False), ("Proprietary", "cli", False), ("Proprietary", "service", False)],
)
def test_ci_publishes_only_free_command_line_tools(tmp_path: Path, license_: str, app: str, *, published: bool) -> None:
    write(tmp_path, VARIANTS)
    post_gen.apply_variants(tmp_path, create_answers("red", license_, "github", app))
    assert (tmp_path / "publish.yml").exists() == published


def test_leftovers_are_existing_files_of_other_answers(tmp_path: Path) -> None:
    existing = ["Dockerfile", "bake.hcl", "mine.txt", "strategies/red/Dockerfile", "tools/.env"]
    write(tmp_path, {**VARIANTS, **dict.fromkeys(existing, "mine")})
    assert post_gen.apply_variants(tmp_path, create_answers("red")) == [
        "bake.hcl",
        "strategies/red/Dockerfile",
        "tools/.env",
    ]
    assert read_texts(tmp_path) == {**dict.fromkeys(existing, "mine"), "Dockerfile": "red", "LICENSE": "MIT"}


@pytest.mark.parametrize("cruft", [False, True])
def test_next_steps_are_printed_unless_cruft_generates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, cruft: bool
) -> None:
    write(tmp_path, VARIANTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    answers = {**create_answers("red"), "project_slug": "acme", "app": "cli"}
    post_gen.main({**answers, "_commit": "abc"} if cruft else answers, "docker build")
    assert ("Your project is ready." in capsys.readouterr().out) != cruft


def test_missing_variants_directory_gives_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match=r"Some files were not moved into place; generate the project again\.$"):
        post_gen.main(create_answers("red"), "docker build")


def test_dockerfile_is_a_leftover_of_strategy_all(tmp_path: Path) -> None:
    write(tmp_path, {**VARIANTS, "Dockerfile": "mine"})
    assert post_gen.apply_variants(tmp_path, create_answers("all")) == ["Dockerfile"]


@pytest.mark.parametrize("app", QUESTIONS["app"])
def test_next_steps_are_ascii_commands(app: str) -> None:
    steps = post_gen.next_steps("acme", app, "docker build")
    run = {"service": "--publish 8000:8000 acme", "cli": "acme acme --help"}[app]
    commands = f"  cd acme\n  git init\n  docker build --tag acme .\n  docker run --rm {run}"
    assert steps == f"\nYour project is ready. Next:\n\n{commands}"
    assert steps.isascii()


def test_every_choice_has_a_directory_of_variants() -> None:
    paths = [path for path in (PROJECT / "_variants").iterdir() if path.is_dir()]
    directories = {path.name: {answer.name for answer in path.iterdir()} for path in paths}
    assert directories.keys() == {"app", "ci", "license", "publish", "runtime", "strategy"}
    for question, names in directories.items():
        assert names == {*QUESTIONS["ci" if question == "publish" else question]}


def test_no_two_sources_provide_the_same_file() -> None:
    paths = (path.relative_to(PROJECT) for path in PROJECT.rglob("*") if path.is_file())
    common = [path for path in paths if path.parts[0] != "_variants"]
    answers_of = [QUESTIONS[name] for name in ("app", "strategy", "ci", "license")]
    for app, strategy, ci, license_ in product(*answers_of):
        publish = ci if app == "cli" and license_ != "Proprietary" else "none"
        chosen = {"app": app, "ci": ci, "license": license_, "publish": publish}
        targets = list(common)
        for question, answer in chosen.items():
            targets += post_gen.answer_files(PROJECT / "_variants" / question / answer, answer)
        for name in QUESTIONS["strategy"] if strategy == "all" else [strategy]:
            targets += post_gen.answer_files(PROJECT / "_variants/strategy" / name, strategy)
        assert sorted(targets) == sorted(set(targets))


@pytest.mark.parametrize("hook", ["pre_gen_project", "post_gen_project"])
def test_hooks_import_only_the_standard_library(hook: str) -> None:
    script = f"import runpy, sys; runpy.run_path('hooks/{hook}.py'); print(*sys.modules)"
    names = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], cwd=TEMPLATE, check=True, capture_output=True, text=True
    ).stdout.split()
    assert {name.partition(".")[0] for name in names} - {"__main__", "__mp_main__"} <= sys.stdlib_module_names


# The pre-generation hook.

VALID = {
    "project_name": "Acme",
    "project_slug": "acme",
    "package_name": "acme",
    "description": "It's acme.",
    "author_name": "Ada",
    "author_email": "ada@example.com",
    **{question: choices[-1] for question, choices in QUESTIONS.items() if isinstance(choices, list)},
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("value", [3.13, 3, True, None, [], ["3.13"], {}], ids=repr)
def test_answer_of_wrong_type_gives_one_line_error(question: str, value: Any) -> None:
    error = pre_gen.answer_error({**VALID, question: value}, load_rules(), hint=False)
    assert error.startswith(f"{question}: ")
    assert ' is not text. Use text in quotes; for example "' in error
    assert "\n" not in error


@pytest.mark.parametrize("question", QUESTIONS)
def test_missing_answer_gives_one_line_error(question: str) -> None:
    answers = {name: value for name, value in VALID.items() if name != question}
    assert pre_gen.answer_error(answers, load_rules(), hint=False).startswith(f"{question}: null is not text.")


CHOICES = [question for question, choices in QUESTIONS.items() if isinstance(choices, list)]


@pytest.mark.parametrize("question", CHOICES)
def test_unlisted_choice_is_rejected(question: str) -> None:
    for value in ("", "x", f"{QUESTIONS[question][0]}\nRUN x", f"{QUESTIONS[question][0]} "):
        error = pre_gen.answer_error({**VALID, question: value}, load_rules(), hint=False)
        first = QUESTIONS[question][0]
        assert error.endswith(f' is not valid. Use {" or ".join(QUESTIONS[question])}; for example "{first}".')
        assert "\n" not in error
    for value in QUESTIONS[question]:
        assert pre_gen.answer_error({**VALID, question: value}, load_rules(), hint=True) is None


def test_hint_repeats_only_valid_answers() -> None:
    error = pre_gen.answer_error({**VALID, "project_slug": "A", "package_name": "A"}, load_rules(), hint=True)
    sentence, hint = error.split("\n")
    assert sentence.startswith('project_slug: "A" is not valid.')
    assert hint == (
        "To keep your other answers, add them to the command: project_name=Acme description='It'\"'\"'s acme.' "
        "author_name=Ada author_email=ada@example.com license=Proprietary python_version=3.11 app=cli strategy=all "
        "runtime=minimal ci=none"
    )


@pytest.mark.parametrize(
    ("question", "longest"),
    [
        ("description", "x" * 10_000),
        ("project_slug", "x" * 63),
        ("author_email", f"{'x' * 242}@example.com"),
    ],
)
def test_answer_above_its_maximum_length_is_rejected(question: str, longest: str) -> None:
    assert problem(question, longest) is None
    assert problem(question, f"x{longest}") is not None


@pytest.mark.parametrize("address", ["ada@example.com (work)", '"ada"@example.com', "ada@example.com\n"])
def test_email_address_in_other_notation_is_rejected(address: str) -> None:
    assert problem("author_email", address) is not None


@pytest.mark.parametrize(("length", "shown"), [(126, "{" * 126), (127, "{" * 126 + "...")])
def test_error_shows_start_of_a_long_answer(length: int, shown: str) -> None:
    error = pre_gen.problem("description", "{" * length, load_rules()["description"])
    assert error.startswith(f"description: \"{shown}\" contains template syntax. Remove '{{{{', ")
    assert error.endswith("'{{', '{%' and '{#'; for example \"CRC-32C checksums over HTTP.\".")


def test_marker_file_is_created_only_in_existing_project(tmp_path: Path) -> None:
    assert pre_gen.create_variants(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    write(tmp_path, {"mine.txt": "mine"})
    assert pre_gen.create_variants(tmp_path) is None
    assert read_texts(tmp_path) == {"mine.txt": "mine", "_variants/skipped": "yes\n"}


def test_existing_variants_directory_stops_generation(tmp_path: Path) -> None:
    write(tmp_path, {"_variants/mine.txt": "mine"})
    assert pre_gen.create_variants(tmp_path).startswith(f"{tmp_path}/_variants already exists. Rename it, or delete")
    assert read_texts(tmp_path) == {"_variants/mine.txt": "mine"}


def test_link_error_names_the_first_outside_target(tmp_path: Path) -> None:
    project = tmp_path / "project"
    write(project, {"lib/a.py": "", "b.py": ""})
    (project / "src").symlink_to("lib")
    (project / "tests").symlink_to(tmp_path)
    assert pre_gen.link_error(project, ["b.py", "src/a.py", "src/new.py"]) is None
    assert pre_gen.link_error(project, ["b.py", "tests/a.py", "tests/b.py"]) == (
        f"{project}/tests/a.py leads outside the project. Remove the symbolic link."
    )


# The Jinja extension.


def test_target_paths_include_files_of_all_answers() -> None:
    targets = local_extensions.target_paths("acme")
    assert targets == sorted({*targets})
    expected = ["Dockerfile", "Makefile", "lessons/README.md", "src/acme/_native.c", "strategies/pex/Dockerfile"]
    assert {*expected} <= {*targets}
    assert not any("cookiecutter." in target or target.startswith("_variants/strategy") for target in targets)


def test_reserved_names_include_each_source() -> None:
    reserved = local_extensions.reserved_names()
    assert reserved == sorted({*reserved})
    assert {"json", "class", "fastapi", "typing-extensions", "lpt9", "on"} <= {*reserved}
    assert "typing_extensions" not in reserved


@pytest.mark.parametrize(
    ("cookiecutter", "python", "options", "start"),
    [
        ("2.1.1", (3, 12), {}, "This template needs cookiecutter 2.2 or later on Python 3.10 or later, but this is "),
        ("1.7.3", (3, 12), {}, "This template needs cookiecutter 2.2 or later"),
        ("2.7.1", (3, 9), {}, "This template needs cookiecutter 2.2 or later"),
        ("2.7.1", (3, 12), {"accept_hooks": "no"}, "This template needs its hooks."),
    ],
)
def test_unsuitable_command_is_rejected(
    cookiecutter: str, python: tuple[int, int], options: dict[str, object], start: str
) -> None:
    with pytest.raises(FailedHookException) as error:
        local_extensions.check_command(cookiecutter, python, options)
    assert str(error.value).startswith(start)


@pytest.mark.parametrize("cookiecutter", ["2.2.0", "2.10", "3.0.0b1"])
@pytest.mark.parametrize("reply", ["yes", "ask"])
def test_suitable_command_is_accepted(cookiecutter: str, reply: str) -> None:
    local_extensions.check_command(cookiecutter, (3, 10), {"accept_hooks": reply})


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a \"b\" 'c' $d", r'"a \"b\" ' + r"'c' \$d" + '"'),
        ("back\\slash", r'"back\\slash"'),
        ('\\"', '""' + r"\\" + '"' + r"\"" + '"'),
        ("end\\\\", '"end"' + r"\\\\" + '""'),
        ("two\r\n lines\n", '"two lines"'),
    ],
)
def test_label_escapes_special_characters(text: str, quoted: str) -> None:
    assert local_extensions.label(text) == quoted


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('é "x" \\', r'"é \"x\" \\"'),
        ("\x7e\x7f\x9f\xa0\u2028\u2029\ufeff", '"~\\u007f\\u009f\xa0\\u2028\\u2029\\ufeff"'),
        ("a\nb", r'"a\nb"'),
    ],
)
def test_literal_escapes_toml_and_yaml_special_characters(text: str, quoted: str) -> None:
    assert local_extensions.literal(text) == quoted


def test_one_line_joins_lines_and_strips_ends() -> None:
    assert local_extensions.one_line(" \ta \r\n\n\t b\rc  d\t") == "a b c  d"


def test_names_are_unique_lower_case_words() -> None:
    answers = {"project_slug": "acme-x", "package_name": "acme_x", "project_name": "Acme O'X!", "author_name": "X"}
    assert local_extensions.names(answers) == "acme-x,acme_x,acme,o'x,x"


@pytest.mark.parametrize(
    ("slug", "derived"),
    [
        ("acme", "acme"),
        ("json", "project-json"),
        ("", "project"),
        ("3d", "project-3d"),
        ("9" * 63, "project-" + "9" * 55),
        ("9" * 54 + "-99", "project-" + "9" * 54),
    ],
)
def test_derived_slug_gets_a_prefix_if_invalid(slug: str, derived: str) -> None:
    assert local_extensions.prefix_if_invalid(slug) == derived


def test_strategies_are_filtered_by_stage() -> None:
    every = sorted({*QUESTIONS["strategy"]} - {"all"})
    assert local_extensions.strategies({"strategy": "all"}) == every
    assert local_extensions.strategies({"strategy": "pex"}) == ["pex"]
    assert local_extensions.strategies({"strategy": "all"}, "artifacts") == ["pex", "platter", "wheels"]
    assert local_extensions.strategies({"strategy": "venv"}, "artifacts") == []


@pytest.mark.parametrize(
    ("strategy", "found"), [("venv", []), ("pex", []), ("platter", ["bundle"]), ("all", ["bundle"])]
)
def test_strategy_files_exclude_dockerfile_and_locks(strategy: str, found: list[str]) -> None:
    assert local_extensions.strategy_files({"strategy": strategy}) == found


def test_docker_build_passes_dockerfile_with_strategy_all() -> None:
    assert local_extensions.docker_build({"strategy": "pex"}, "pex") == "docker build"
    assert local_extensions.docker_build({"strategy": "all"}, "pex") == "docker build --file strategies/pex/Dockerfile"
