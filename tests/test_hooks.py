"""The hooks as units, and in copies of the template that are changed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.command import copied_template
from tests.conftest import QUESTIONS, TEMPLATE


def load(name: str) -> ModuleType:
    """Import a hook as it is, unrendered."""
    spec = importlib.util.spec_from_file_location(name, TEMPLATE / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pre_gen = load("pre_gen_project")
post_gen = load("post_gen_project")


def write(folder: Path, files: dict[str, str]) -> None:
    """Write texts by path, with the folders they need."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def texts(folder: Path) -> dict[str, str]:
    """Read every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()
    }


VARIANTS = {
    "_variants/colour/red/Dockerfile": "red",
    "_variants/colour/blue/Dockerfile": "blue",
    "_variants/colour/blue/tools/paint.sh": "paint",
    "_variants/colour/all/bake.hcl": "bake",
    "_variants/shape/round/shape.txt": "round",
    "_variants/shape/square/shape.txt": "square",
    "_variants/shape/none/.gitkeep": "",
}


def test_the_chosen_answers_are_laid_over_the_project(tmp_path: Path) -> None:
    write(tmp_path, {**VARIANTS, "kept.txt": "kept"})
    post_gen.apply_variants(tmp_path, {"colour": "blue", "shape": "round"}, ["kept.txt"])
    assert texts(tmp_path) == {
        "kept.txt": "kept",
        "Dockerfile": "blue",
        "tools/paint.sh": "paint",
        "shape.txt": "round",
    }


def test_an_answer_may_bring_nothing(tmp_path: Path) -> None:
    write(tmp_path, VARIANTS)
    post_gen.apply_variants(tmp_path, {"colour": "red", "shape": "none"}, [])
    assert texts(tmp_path) == {"Dockerfile": "red"}


def test_all_keeps_every_sibling_with_its_dockerfile_aside(tmp_path: Path) -> None:
    write(tmp_path, VARIANTS)
    post_gen.apply_variants(tmp_path, {"colour": "all", "shape": "square"}, [])
    assert texts(tmp_path) == {
        "strategies/red/Dockerfile": "red",
        "strategies/blue/Dockerfile": "blue",
        "tools/paint.sh": "paint",
        "bake.hcl": "bake",
        "shape.txt": "square",
    }


@pytest.mark.parametrize(
    ("more", "answers", "generated", "sentence"),
    [
        ({}, {"colour": "green", "shape": "round"}, [], "colour: 'green' has no directory"),
        ({}, {"colour": "red", "shape": "round"}, ["Dockerfile"], "already generates: 'Dockerfile'"),
        (
            {"_variants/shape/round/Dockerfile": "clash"},
            {"colour": "red", "shape": "round"},
            [],
            "shape/round/Dockerfile",
        ),
    ],
    ids=["answer without a folder", "file that the project has", "file that another answer brings"],
)
def test_a_mistake_in_the_template_is_one_sentence_and_moves_nothing(
    tmp_path: Path, more: dict[str, str], answers: dict[str, str], generated: list[str], sentence: str
) -> None:
    write(tmp_path, {**VARIANTS, **more, "mine.txt": "mine"})
    with pytest.raises(ValueError, match=r"\.$") as error:
        post_gen.apply_variants(tmp_path, answers, generated)
    assert sentence in str(error.value)
    assert texts(tmp_path) == {"mine.txt": "mine"}


def test_a_user_s_own_variants_folder_stops_the_generation(tmp_path: Path) -> None:
    assert pre_gen.problem(tmp_path, [], 0) is None
    (tmp_path / "_variants").mkdir()
    assert "_variants already exists" in pre_gen.problem(tmp_path, [], 0)


@pytest.mark.parametrize("app", QUESTIONS["app"])
def test_the_next_steps_are_ascii_commands(app: str) -> None:
    steps = post_gen.next_steps({"project_slug": "acme", "app": app}, "docker build")
    assert steps.isascii()
    assert "  cd acme\n  docker build --tag acme .\n  docker run --rm" in steps


def test_a_comparison_of_cruft_s_prints_no_next_steps(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        compared = Path(folder) / "acme"
        assert post_gen.is_cruft_comparison({"_commit": "abc"}, compared)
        assert not post_gen.is_cruft_comparison({}, compared)
    assert not post_gen.is_cruft_comparison({"_commit": "abc"}, tmp_path / "acme")
    assert not post_gen.is_cruft_comparison({"_commit": "abc"}, Path(tempfile.gettempdir(), "mine", "acme"))


@pytest.mark.parametrize("hook", ["pre_gen_project", "post_gen_project"])
def test_hooks_need_the_standard_library_only(hook: str) -> None:
    script = f"import runpy, sys; runpy.run_path('hooks/{hook}.py'); print(*sys.modules)"
    names = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], cwd=TEMPLATE, check=True, capture_output=True, text=True
    ).stdout.split()
    assert {name.partition(".")[0] for name in names} - {"__main__", "__mp_main__"} <= sys.stdlib_module_names


def test_a_choice_without_a_folder_is_told_by_the_command(tmp_path: Path, cookies: Any) -> None:
    template = copied_template(tmp_path)
    questions = json.loads((template / "cookiecutter.json").read_text("utf-8"))
    questions["strategy"].append("conda")
    (template / "cookiecutter.json").write_text(json.dumps(questions), "utf-8")
    result = cookies.bake(template=str(template), extra_context={"strategy": "conda"})
    assert result.exit_code != 0
    assert "strategy: 'conda' has no directory in _variants/strategy; choose from: all, pex" in str(result.exception)
