"""Move the files for the chosen answers into the project, and delete all other variants.

`_variants/<question>/<answer>/` contains the files of one answer, at their final paths in the
project. No other file in the project is touched.

Files are moved, not copied, because a move is atomic and needs no disk space.
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
ALL = "all"  # the answer that includes all other answers, with their Dockerfiles in strategies/
SKIPPED = Path(VARIANTS, "skipped")
GITKEEP = ".gitkeep"  # keeps the directory of an answer without files in git


def answer_files(directory: Path) -> dict[Path, Path]:
    """Map the target path of each file of an answer to its current path."""
    files = (path for path in sorted(directory.rglob("*")) if path.is_file() and path.name != GITKEEP)
    return {path.relative_to(directory): path for path in files}


def files_among_all(directory: Path) -> dict[Path, Path]:
    """Map the files of one answer if all are chosen: its Dockerfile goes to strategies/<name>/."""
    own = Path("strategies", directory.name, "Dockerfile")
    return {own if target == Path("Dockerfile") else target: path for target, path in answer_files(directory).items()}


def merge_files(parts: list[dict[Path, Path]], common: set[str]) -> dict[Path, Path]:
    """Merge the files of all chosen answers.

    Raises:
        ValueError: if two answers, or an answer and the base project, provide the same file.

    """
    plan: dict[Path, Path] = {}
    for part in parts:
        for target, path in part.items():
            if target in plan or target.as_posix() in common:
                conflict = f"{path.as_posix()} would replace a file that the template already generates"
                raise ValueError(f"{conflict}: '{target.as_posix()}'. Rename one of them.")
            plan[target] = path
    return plan


def chosen_files(question: Path, answer: str) -> list[dict[Path, Path]]:
    """Return the files of the answer to one question.

    Raises:
        ValueError: if the answer has no directory.

    """
    if not (question / answer).is_dir():
        known = ", ".join(sorted(directory.name for directory in question.iterdir()))
        raise ValueError(
            f"{question.name}: '{answer}' has no directory in {VARIANTS}/{question.name}; choose from: {known}."
        )
    siblings = sorted(directory for directory in question.iterdir() if directory.name != ALL) if answer == ALL else []
    return [answer_files(question / answer), *map(files_among_all, siblings)]


def plan_moves(variants: Path, answers: dict[str, str], common: list[str]) -> dict[Path, Path]:
    """Map the target path of each file of the chosen answers to its current path.

    Args:
        variants: the directory that contains all variants.
        answers: the answer to each question.
        common: POSIX paths of the files that every project contains.

    Raises:
        ValueError: if an answer has no directory, or two files have the same target path.

    """
    answers = {**answers, "publish": publish_answer(answers)}
    questions = sorted(directory for directory in variants.iterdir() if directory.is_dir())
    parts = [part for question in questions for part in chosen_files(question, answers[question.name])]
    return merge_files(parts, set(common))


def publish_answer(answers: dict[str, str]) -> str:
    """Return the CI service that publishes the package on PyPI, which follows from the licence and the CI service."""
    return "none" if answers.get("license") == "Proprietary" else answers.get("ci", "none")


def leftover_files(project: Path, plan: dict[Path, Path]) -> list[str]:
    """List existing project files whose paths belong only to answers that were not chosen."""
    answers = [directory for directory in sorted((project / VARIANTS).glob("*/*")) if directory.is_dir()]
    known = {target for answer in answers for target in (*answer_files(answer), *files_among_all(answer))}
    return sorted(target.as_posix() for target in known - plan.keys() if os.path.lexists(project / target))


def move(project: Path, plan: dict[Path, Path]) -> None:
    """Move files to their target paths.

    Raises:
        OSError: if a file cannot be moved; the message lists the files that have not been moved.

    """
    left = sorted(plan)
    try:
        # Create all directories first, because only this needs disk space.
        for target in plan:
            (project / target).parent.mkdir(parents=True, exist_ok=True)
        while left:
            plan[left[0]].replace(project / left[0])
            del left[0]
    except OSError as error:
        names = ", ".join(target.as_posix() for target in left)
        raise OSError(f"{error}. These files were not moved into place: {names}. All others were.") from error


def apply_variants(project: Path, answers: dict[str, str], common: list[str]) -> list[str]:
    """Move the chosen files into place, and always delete the variants.

    Args:
        project: the generated project.
        answers: the answer to each question.
        common: POSIX paths of the files that every project contains.

    Returns:
        paths of files left over from answers chosen earlier.

    Raises:
        ValueError: if an answer has no directory, or two files have the same target path; no file was moved.
        OSError: if a file cannot be moved.

    """
    variants = project / VARIANTS
    try:
        plan = plan_moves(variants, answers, common)
        leftovers = leftover_files(project, plan)
        if is_skip_mode(project):
            plan = {target: path for target, path in plan.items() if not os.path.lexists(project / target)}
        move(project, plan)
    finally:
        shutil.rmtree(variants)
    return leftovers


def is_skip_mode(project: Path) -> bool:
    """Return whether cookiecutter ran with --skip-if-file-exists: if so, it kept the marker file of the first hook."""
    marker = project / SKIPPED
    return marker.is_file() and marker.read_text("utf-8") == "yes\n"


def format_leftovers(leftovers: list[str]) -> str:
    """List the leftover files for the user. They are not deleted, because the user may have edited them."""
    if not leftovers:
        return ""
    names = "".join(f"  {name}\n" for name in leftovers)
    return (
        f"\nThese files belong to answers that you did not choose. They were not changed; delete those that you do "
        f"not need:\n\n{names}"
    )


def next_steps(answers: dict[str, str], build: str) -> str:
    """Return the commands that build and run the new project, in ASCII."""
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


def is_cruft_comparison(answers: dict[str, str], project: Path) -> bool:
    """Return whether cruft is generating a temporary copy of the project to compare it.

    Args:
        answers: the answer to each question; only cruft adds the template's commit.
        project: the generated project.

    """
    parent = project.resolve().parent
    in_temporary = parent.parent == Path(tempfile.gettempdir()).resolve()
    return "_commit" in answers and in_temporary and parent.name.startswith(tempfile.gettempprefix())


def main(answers: dict[str, str], project: Path) -> None:
    """Finish the project, or exit with a one-line error message."""
    # Ignore Ctrl-C: this step is short, and afterwards the project is complete.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        leftovers = apply_variants(project, answers, json.loads(GENERATED))
    except (OSError, ValueError) as error:
        sys.exit(f"post_gen_project: {error}")
    if not is_cruft_comparison(answers, project):
        sys.stdout.write(format_leftovers(leftovers) + next_steps(answers, BUILD))


if __name__ == "__main__":
    main(json.loads(CONTEXT), Path.cwd())
