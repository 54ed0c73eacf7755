"""Lay the chosen answers' files over the project and remove all other variants.

`_variants/<question>/<answer>/` holds what an answer brings, laid out as it is to
land in the project. Nothing else in the project is touched.

Each file is moved, which needs no room on the disk and leaves the old file or the new one, never a half.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

CONTEXT = r"""{{ cookiecutter | tojson }}"""
GENERATED = r"""{{ generated_paths(cookiecutter.package_name) | tojson }}"""
BUILD = r"""{{ cookiecutter | docker_build("venv") }}"""

VARIANTS = "_variants"
EVERY = "all"  # the answer that keeps its siblings, their Dockerfiles side by side
SKIPPED = Path(VARIANTS, "skipped")
KEEP = ".gitkeep"  # what git needs to hold the folder of an answer that brings nothing


def files_below(folder: Path) -> dict[Path, Path]:
    """Map where each file is to land in the project to where it is now."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != KEEP)
    return {path.relative_to(folder): path for path in files}


def side_by_side(folder: Path) -> dict[Path, Path]:
    """Map the files of one answer among all: its Dockerfile moves aside, the rest keeps its place."""
    own = Path("strategies", folder.name, "Dockerfile")
    return {own if target == Path("Dockerfile") else target: path for target, path in files_below(folder).items()}


def merged(parts: list[dict[Path, Path]], taken: set[str]) -> dict[Path, Path]:
    """Put the answers' files together.

    Raises:
        ValueError: two of them, or one and the project itself, bring the same file.

    """
    plan: dict[Path, Path] = {}
    for part in parts:
        for target, path in part.items():
            if target in plan or target.as_posix() in taken:
                rest = f"{path.as_posix()} would replace a file that the template already generates"
                raise ValueError(f"{rest}: '{target.as_posix()}'; give one of the two another name.")
            plan[target] = path
    return plan


def chosen(question: Path, answer: str) -> list[dict[Path, Path]]:
    """Collect what the answer to one question brings.

    Raises:
        ValueError: the answer has no folder.

    """
    if not (question / answer).is_dir():
        known = ", ".join(sorted(folder.name for folder in question.iterdir()))
        raise ValueError(
            f"{question.name}: '{answer}' has no folder in {VARIANTS}/{question.name}; there are: {known}."
        )
    siblings = sorted(folder for folder in question.iterdir() if folder.name != EVERY) if answer == EVERY else []
    return [files_below(question / answer), *map(side_by_side, siblings)]


def planned(variants: Path, answers: dict[str, str], generated: list[str]) -> dict[Path, Path]:
    """Map where each file that the answers bring is to land in the project to where it is now.

    Args:
        variants: the variants' folder.
        answers: answer by question.
        generated: POSIX paths of the files that every project gets.

    Raises:
        ValueError: an answer without a folder, or two files of one name.

    """
    answers = {**answers, "publish": publish(answers)}
    questions = sorted(folder for folder in variants.iterdir() if folder.is_dir())
    return merged([part for question in questions for part in chosen(question, answers[question.name])], set(generated))


def publish(answers: dict[str, str]) -> str:
    """Return which pipeline publishes the package on PyPI: nobody asks, because it follows from two answers."""
    return "none" if answers.get("license") == "Proprietary" else answers.get("ci", "none")


def unwanted(project: Path, plan: dict[Path, Path]) -> list[str]:
    """List the files of the project that have the name of one that only other answers bring."""
    answers = [folder for folder in sorted((project / VARIANTS).glob("*/*")) if folder.is_dir()]
    known = {target for answer in answers for target in (*files_below(answer), *side_by_side(answer))}
    return sorted(target.as_posix() for target in known - plan.keys() if os.path.lexists(project / target))


def move(project: Path, plan: dict[Path, Path]) -> None:
    """Move files into place.

    Raises:
        OSError: one of them cannot be moved; it names all that are not in place.

    """
    left = sorted(plan)
    try:
        # What can fail for want of room comes before the first file.
        for target in plan:
            (project / target).parent.mkdir(parents=True, exist_ok=True)
        while left:
            plan[left[0]].replace(project / left[0])
            del left[0]
    except OSError as error:
        names = ", ".join(target.as_posix() for target in left)
        raise OSError(f"{error}; these files are not in place: {names}; all others are.") from error


def lay_variants(project: Path, answers: dict[str, str], generated: list[str]) -> list[str]:
    """Move the chosen files into place, and remove the variants' folder whatever happens.

    Args:
        project: the generated project.
        answers: answer by question.
        generated: POSIX paths of the files that every project gets.

    Returns:
        the files that other answers brought, once.

    Raises:
        ValueError: an answer without a folder, or two files of one name; nothing was moved then.
        OSError: a file cannot be moved.

    """
    variants = project / VARIANTS
    try:
        plan = planned(variants, answers, generated)
        left_over = unwanted(project, plan)
        if skips(project):
            plan = {target: path for target, path in plan.items() if not os.path.lexists(project / target)}
        move(project, plan)
    finally:
        shutil.rmtree(variants)
    return left_over


def skips(project: Path) -> bool:
    """Tell whether cookiecutter was told to keep the files that exist: it kept the mark that the first hook made."""
    mark = project / SKIPPED
    return mark.is_file() and mark.read_text("utf-8") == "yes\n"


def reminder(left_over: list[str]) -> str:
    """Name the files that other answers brought: none is removed, because it may be the user's by now."""
    if not left_over:
        return ""
    names = "".join(f"  {name}\n" for name in left_over)
    return f"\nThese files belong to other answers. They are left as they were; remove what you do not need:\n\n{names}"


def next_steps(answers: dict[str, str], build: str) -> str:
    """Write the commands that build and run the new project, in ASCII."""
    slug = answers["project_slug"]
    run = {
        "service": f"docker run --rm --publish 8000:8000 {slug}",
        "cli": f"docker run --rm {slug} {slug} --help",
    }
    return f"""
Your project is ready. Next:

  cd {slug}
  {build} --tag {slug} .
  {run[answers["app"]]}
"""


def is_passing(answers: dict[str, str], project: Path) -> bool:
    """Tell whether cruft generates the project only to compare it, in a temporary folder of its own.

    Args:
        answers: cruft alone adds the template's commit to them.
        project: the generated project.

    """
    parent = project.resolve().parent
    in_temporary = parent.parent == Path(tempfile.gettempdir()).resolve()
    return "_commit" in answers and in_temporary and parent.name.startswith(tempfile.gettempprefix())


def main(answers: dict[str, str], project: Path) -> None:
    """Finish the project; a problem ends the generation with one sentence."""
    # Ctrl-C stops cookiecutter; what takes a moment and leaves a whole project goes on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        left_over = lay_variants(project, answers, json.loads(GENERATED))
    except (OSError, ValueError) as error:
        sys.exit(f"post_gen_project: {error}")
    if not is_passing(answers, project):
        sys.stdout.write(reminder(left_over) + next_steps(answers, BUILD))


if __name__ == "__main__":
    main(json.loads(CONTEXT), Path.cwd())
