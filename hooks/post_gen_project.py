"""Move the files of the chosen answers from _variants/<question>/<answer>/ into the project, and delete _variants."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

CONTEXT = r"""{{ (cookiecutter, cookiecutter | docker_build("venv")) | tojson }}"""


def answer_files(directory: Path, answer: str) -> dict[Path, Path]:
    """Map the target path of each file of an answer to its current path; `all` moves Dockerfiles into strategies/."""
    # .gitkeep lets git store the directory of an answer that has no files.
    paths = (path for path in directory.rglob("*") if path.is_file() and path.name != ".gitkeep")
    files = {path.relative_to(directory): path for path in paths}
    if answer == "all" and (dockerfile := files.pop(Path("Dockerfile"), None)):
        files[Path("strategies", directory.name, "Dockerfile")] = dockerfile
    return files


def chosen_files(variants: Path, answers: dict[str, str]) -> dict[Path, Path]:
    """Map the target path of each file of the chosen answers to its current path."""
    # On PyPI, a service would have no users, and PyPI rejects proprietary packages.
    is_published = answers["app"] == "cli" and answers["license"] != "Proprietary"
    answers = {**answers, "publish": answers["ci"] if is_published else "none"}
    chosen: dict[Path, Path] = {}
    for directory in variants.glob("*/*"):
        answer = answers[directory.parent.name]
        if answer in (directory.name, "all"):
            chosen |= answer_files(directory, answer)
    return chosen


def leftover_files(variants: Path, chosen: dict[Path, Path]) -> list[str]:
    """List existing project files whose paths belong only to answers that were not chosen."""
    known = {target for path in variants.glob("*/*") for answer in ("", "all") for target in answer_files(path, answer)}
    return sorted(target.as_posix() for target in known - chosen.keys() if os.path.lexists(variants.parent / target))


def apply_variants(project: Path, answers: dict[str, str]) -> list[str]:
    """Move the chosen files into place, delete the variants, and list the files left over from earlier answers."""
    variants = project / "_variants"
    leftovers = leftover_files(variants, files := chosen_files(variants, answers))
    # With --skip-if-file-exists, cookiecutter keeps the marker file of the first hook.
    if (variants / "skipped").read_text("utf-8") == "yes\n":
        files = {target: path for target, path in files.items() if not os.path.lexists(project / target)}
    for target, path in files.items():
        (project / target).parent.mkdir(parents=True, exist_ok=True)
        path.replace(project / target)
    shutil.rmtree(variants)
    return leftovers


def next_steps(slug: str, app: str, build: str) -> str:
    """Return the commands that build and run the new project, in ASCII."""
    run = {"service": f"--publish 8000:8000 {slug}", "cli": f"{slug} {slug} --help"}[app]
    commands = f"cd {slug}", "git init", f"{build} --tag {slug} .", f"docker run --rm {run}"
    return "\n  ".join(("\nYour project is ready. Next:\n", *commands))


def main(answers: dict[str, str], build: str) -> None:
    """Finish the project, or exit with a one-line error message."""
    # Ignore Ctrl-C: this step is short, and afterwards the project is complete.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        leftovers = apply_variants(Path.cwd(), answers)
    except OSError as error:
        shutil.rmtree("_variants", ignore_errors=True)
        sys.exit(f"{error}. Some files were not moved into place; generate the project again.")
    if leftovers:
        heading = "\nThese files belong to answers that you did not choose. Delete those that you do not need:\n"
        print(heading, *leftovers, sep="\n  ")
    # Print no next steps for cruft, which sets _commit and generates temporary projects for comparison.
    if "_commit" not in answers:
        print(next_steps(answers["project_slug"], answers["app"], build))


if __name__ == "__main__":
    main(*json.loads(CONTEXT))
