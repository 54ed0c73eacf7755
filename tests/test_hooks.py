"""The hooks: unit tests, and tests in modified copies of the template."""

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

from tests.command import copy_template
from tests.conftest import QUESTIONS, TEMPLATE


def load_hook(name: str) -> ModuleType:
    """Import a hook without rendering it."""
    spec = importlib.util.spec_from_file_location(name, TEMPLATE / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pre_gen = load_hook("pre_gen_project")
post_gen = load_hook("post_gen_project")


def write(folder: Path, files: dict[str, str]) -> None:
    """Write text files, and create their parent directories."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def texts(folder: Path) -> dict[str, str]:
    """Map every file in a directory to its text."""
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


def test_files_of_chosen_answers_move_into_project(tmp_path: Path) -> None:
    write(tmp_path, {**VARIANTS, "kept.txt": "kept"})
    post_gen.apply_variants(tmp_path, {"colour": "blue", "shape": "round"}, ["kept.txt"])
    assert texts(tmp_path) == {
        "kept.txt": "kept",
        "Dockerfile": "blue",
        "tools/paint.sh": "paint",
        "shape.txt": "round",
    }


def test_answer_without_files_adds_nothing(tmp_path: Path) -> None:
    write(tmp_path, VARIANTS)
    post_gen.apply_variants(tmp_path, {"colour": "red", "shape": "none"}, [])
    assert texts(tmp_path) == {"Dockerfile": "red"}


def test_strategy_all_moves_dockerfiles_into_strategies(tmp_path: Path) -> None:
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
    ids=["answer without a directory", "file of the base project", "file of another answer"],
)
def test_template_mistake_gives_one_line_error_and_moves_nothing(
    tmp_path: Path, more: dict[str, str], answers: dict[str, str], generated: list[str], sentence: str
) -> None:
    write(tmp_path, {**VARIANTS, **more, "mine.txt": "mine"})
    with pytest.raises(ValueError, match=r"\.$") as error:
        post_gen.apply_variants(tmp_path, answers, generated)
    assert sentence in str(error.value)
    assert texts(tmp_path) == {"mine.txt": "mine"}


def test_existing_variants_directory_stops_generation(tmp_path: Path) -> None:
    assert pre_gen.problem(tmp_path, [], 0) is None
    (tmp_path / "_variants").mkdir()
    assert "_variants already exists" in pre_gen.problem(tmp_path, [], 0)


@pytest.mark.parametrize("app", QUESTIONS["app"])
def test_next_steps_are_ascii_commands(app: str) -> None:
    steps = post_gen.next_steps({"project_slug": "acme", "app": app}, "docker build")
    assert steps.isascii()
    assert "  cd acme\n  docker build --tag acme .\n  docker run --rm" in steps


def test_cruft_comparison_prints_no_next_steps(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        compared = Path(folder) / "acme"
        assert post_gen.is_cruft_comparison({"_commit": "abc"}, compared)
        assert not post_gen.is_cruft_comparison({}, compared)
    assert not post_gen.is_cruft_comparison({"_commit": "abc"}, tmp_path / "acme")
    assert not post_gen.is_cruft_comparison({"_commit": "abc"}, Path(tempfile.gettempdir(), "mine", "acme"))


@pytest.mark.parametrize("hook", ["pre_gen_project", "post_gen_project"])
def test_hooks_import_only_the_standard_library(hook: str) -> None:
    script = f"import runpy, sys; runpy.run_path('hooks/{hook}.py'); print(*sys.modules)"
    names = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], cwd=TEMPLATE, check=True, capture_output=True, text=True
    ).stdout.split()
    assert {name.partition(".")[0] for name in names} - {"__main__", "__mp_main__"} <= sys.stdlib_module_names


def test_choice_without_directory_is_reported(tmp_path: Path, cookies: Any) -> None:
    template = copy_template(tmp_path)
    questions = json.loads((template / "cookiecutter.json").read_text("utf-8"))
    questions["strategy"].append("conda")
    (template / "cookiecutter.json").write_text(json.dumps(questions), "utf-8")
    result = cookies.bake(template=str(template), extra_context={"strategy": "conda"})
    assert result.exit_code != 0
    assert "strategy: 'conda' has no directory in _variants/strategy; choose from: all, pex" in str(result.exception)
