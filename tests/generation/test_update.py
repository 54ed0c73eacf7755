"""Updates with cruft: new template versions and changed answers are merged, and user edits are kept."""

from __future__ import annotations

import json
import tarfile
from itertools import cycle
from pathlib import Path

import pytest

from tests.conftest import APPS, QUESTIONS, Bake, Project, commit_project, copy_project, weekly_after
from tests.generation.updates import NEW, REMOVED, RENAMED, URL, Template, clone_template, make_template
from tests.project.test_package import build_distribution
from tools.engine import Engine

CRUFT_JSON = ".cruft.json"


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Return a template with all versions; tests use copies of it."""
    return make_template(tmp_path_factory.mktemp("versions"))


@pytest.fixture(scope="session")
def initial_project(versions: Template, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the default project, created by cruft from the first version; tests use copies of it."""
    return versions.create(tmp_path_factory.mktemp("created"))


@pytest.fixture
def project(initial_project: Project, tmp_path: Path) -> Project:
    """Return a copy of the initial project, which refers to the template by its URL."""
    return copy_project(initial_project, tmp_path)


@pytest.fixture
def template(versions: Template, tmp_path: Path) -> Template:
    """Return a copy of the template, whose newest version is the second."""
    return clone_template(versions, tmp_path, "v2")


def dockerfiles(project: Project) -> list[str]:
    """List the Dockerfiles of a project: one, or one per strategy."""
    return sorted(name for name in project.files if name.endswith("Dockerfile") and not name.startswith("lessons/"))


def read_texts(project: Project) -> dict[str, str]:
    """Read all files of a project that git would track, except .cruft.json."""
    return {name: project.read(name) for name in project.files if not name.startswith(".git/") and name != CRUFT_JSON}


def write(project: Project, name: str, text: str) -> None:
    """Write a user's file."""
    (project.path / name).write_text(text, "utf-8")


def edit_unrelated_lines(project: Project) -> None:
    """Edit, add and remove files and lines that the next version does not change."""
    for name in dockerfiles(project):
        project.edit(name, "# Do not buffer stdout", "# Mine. Write stdout at once")
    project.edit("Makefile", "PYTHON ?= python3\n", "PYTHON ?= python3.99\n")
    project.edit(RENAMED[0], "import pytest\n", "import pytest  # mine\n")
    write(project, "notes.txt", "mine\n")
    write(project, "src/acme/extra.c", "int extra;\n")
    (project.path / "docs/CHANGELOG.md").unlink()


def conflicted_files(template: Template, project: Project) -> list[str]:
    """List the files with conflicts."""
    return template.git(project.path, "diff", "--name-only", "--diff-filter=U").splitlines()


def changed_files(diff: str) -> set[str]:
    """List the files in the output of `cruft diff`."""
    heads = [line.split() for line in diff.splitlines() if line.startswith("diff --git ")]
    return {word.partition("/")[2] for head in heads for word in head[2:]}


@pytest.mark.parametrize(
    "combination",
    weekly_after(2, zip(reversed(QUESTIONS["strategy"]), cycle(reversed(APPS)), strict=False)),
    ids="-".join,
)
def test_update_merges_new_version_with_edits(template: Template, tmp_path: Path, combination: tuple[str, str]) -> None:
    strategy, app = combination
    project = template.create(tmp_path, strategy=strategy, app=app)
    edit_unrelated_lines(project)
    project.edit("docs/CONTRIBUTING.md", "Before you submit a change", "Before you submit a patch")
    template.commit(project.path)
    edited = {*dockerfiles(project), "Makefile", "docs/CONTRIBUTING.md", RENAMED[0]}
    assert changed_files(template.cruft(project.path, "diff")) == edited

    before = read_texts(project)
    printed = template.cruft(project.path, "update", "--skip-apply-ask")
    assert printed.count("\n") == 1, "a hook printed something during the update"

    after = read_texts(project)
    assert after.keys() - before.keys() == {NEW, RENAMED[1]}
    assert before.keys() - after.keys() == {REMOVED, RENAMED[0]}
    assert after[NEW] == "Write to you@example.com, ACME.\n"
    of_venv = {"venv": "Dockerfile", "all": "strategies/venv/Dockerfile"}
    for name in dockerfiles(project):
        assert "# Mine. Write stdout" in after[name]
        assert "USER 10002:10002" in after[name]
        assert ("# The venv of version 2." in after[name]) == (name == of_venv.get(strategy))
        # The default has changed, but the project keeps its answer.
        assert "FROM python:3.14-slim AS base" in after[name]
    assert "PYTHON ?= python3.99\n" in after["Makefile"]
    assert "-p tests.memory" in after["Makefile"]
    assert "import pytest  # mine" in after[RENAMED[1]]
    assert "interval: monthly" in after[".github/dependabot.yml"]
    assert (after["notes.txt"], after["src/acme/extra.c"]) == ("mine\n", "int extra;\n")

    assert conflicted_files(template, project) == ["docs/CONTRIBUTING.md"]
    ours, theirs = "Before you submit a patch", "Version 2: before you submit a change"
    rest = ", make sure that these commands succeed:"
    conflict = rf"<<<<<<< ours\n{ours}{rest}\n=======\n{theirs}{rest}\n>>>>>>> theirs\n"
    assert conflict.replace(r"\n", "\n") in after["docs/CONTRIBUTING.md"]
    assert "up to date" in template.cruft(project.path, "check")


def test_update_keeps_edited_file_removed_by_template(template: Template, project: Project) -> None:
    project.edit(REMOVED, "requirements/*.txt linguist-generated", "requirements/*.txt -diff")
    project.edit("docs/CONTRIBUTING.md", "Before you submit a change", "Before you submit a patch")
    template.commit(project.path)
    template.cruft(project.path, "update", "--skip-apply-ask")
    # git cannot merge the removal, so cruft applies the matching hunks and writes the others to .rej files.
    assert "requirements/*.txt -diff" in project.read(REMOVED)
    assert "Before you submit a patch" in project.read("docs/CONTRIBUTING.md")
    assert {name for name in project.files if name.endswith(".rej")} == {"docs/CONTRIBUTING.md.rej"}
    assert "+Version 2: before you submit a change" in project.read("docs/CONTRIBUTING.md.rej")
    assert "USER 10002:10002" in project.read("Dockerfile")
    assert project.read(NEW)


def test_update_requires_clean_tree_or_allow_untracked_files(template: Template, project: Project) -> None:
    write(project, "notes.txt", "mine\n")
    before = read_texts(project)
    assert "unclean git project" in template.cruft(project.path, "update", "--skip-apply-ask", status=1)
    assert read_texts(project) == before
    template.cruft(project.path, "update", "--skip-apply-ask", "--allow-untracked-files")
    assert project.read("notes.txt") == "mine\n"
    assert project.read(NEW)


def test_new_project_is_up_to_date_without_diff(versions: Template, tmp_path: Path) -> None:
    template = clone_template(versions, tmp_path, "v3")
    # v3 has a different local_extensions.py from the checkout.
    project = template.create(tmp_path, "v3")
    assert "up to date" in template.cruft(project.path, "check")
    assert template.cruft(project.path, "diff", "--exit-code") == ""
    assert "already up to date" in template.cruft(project.path, "update", "--skip-apply-ask")
    assert template.git(project.path, "status", "--porcelain") == ""


# Applied in sequence; the last one restores the original answers.
CHANGED_ANSWERS = [
    {"strategy": "wheels", "ci": "gitlab"},
    {"strategy": "all", "ci": "none", "app": "cli"},
    {"strategy": "platter", "license": "Apache-2.0"},
    {"strategy": "venv", "ci": "github", "app": "service", "license": "MIT"},
]


def test_changed_answers_replace_files_of_old_answers(template: Template, project: Project, bake_once: Bake) -> None:
    project.edit("Makefile", "PYTHON ?= python3\n", "PYTHON ?= python3.99\n")
    write(project, "notes.txt", "mine\n")
    template.commit(project.path)
    answers = {"project_slug": "acme"}
    for change in CHANGED_ANSWERS:
        options = ("--checkout", "v1", "--variables-to-update", json.dumps(change))
        template.cruft(project.path, "update", "--skip-apply-ask", *options)
        assert conflicted_files(template, project) == []
        template.commit(project.path)
        answers |= change
        expected = read_texts(bake_once(**answers))
        expected["Makefile"] = expected["Makefile"].replace("PYTHON ?= python3\n", "PYTHON ?= python3.99\n")
        assert read_texts(project) == {**expected, "notes.txt": "mine\n"}


def test_dockerfile_edits_move_with_strategy_all(template: Template, project: Project) -> None:
    project.edit("Dockerfile", "# Do not buffer stdout", "# Mine. Write stdout at once")
    template.commit(project.path)
    command = ("update", "--skip-apply-ask", "--checkout", "v1", "--variables-to-update", '{"strategy": "all"}')
    template.cruft(project.path, *command)
    moved = [name for name in dockerfiles(project) if "# Mine." in project.read(name)]
    assert moved == ["strategies/venv/Dockerfile"]
    template.commit(project.path)
    template.cruft(project.path, *command[:-1], '{"strategy": "venv"}')
    assert dockerfiles(project) == ["Dockerfile"]
    assert "# Mine." in project.read("Dockerfile")


def test_project_from_plain_cookiecutter_can_be_linked(template: Template, tmp_path: Path, bake_once: Bake) -> None:
    answers = {"project_slug": "acme", "strategy": "wheels"}
    project = commit_project(bake_once(**answers), tmp_path)
    link = ("link", "--no-input", "--default-config", "--checkout", "v1", "--extra-context", json.dumps(answers), URL)
    template.cruft(project.path, *link)
    assert template.cruft(project.path, "diff", "--exit-code") == ""
    template.commit(project.path)
    assert "out of date" in template.cruft(project.path, "check", status=1)
    template.cruft(project.path, "update", "--skip-apply-ask")
    assert "USER 10002:10002" in project.read("Dockerfile")
    assert project.read(NEW)


def test_cruft_json_is_short_and_machine_independent(template: Template, project: Project) -> None:
    cruft_json = json.loads(project.read(CRUFT_JSON))
    answers = {name: value for name, value in cruft_json["context"]["cookiecutter"].items() if not name.startswith("_")}
    defaults = {name: value[0] if isinstance(value, list) else value for name, value in QUESTIONS.items()}
    assert answers == {**defaults, "project_slug": "acme", "package_name": "acme"}
    questions = json.loads((template.path / "cookiecutter.json").read_text("utf-8"))
    private = {name: value for name, value in cruft_json["context"]["cookiecutter"].items() if name.startswith("_")}
    assert private == {
        "_copy_without_render": questions["_copy_without_render"],
        "_extensions": ["local_extensions.Answers"],
        "_template": URL,
        "_commit": cruft_json["commit"],
    }
    assert cruft_json["commit"] == template.git(template.path, "rev-parse", "v1")
    assert str(template.path.parent) not in project.read(CRUFT_JSON)
    assert project.read(CRUFT_JSON).endswith("}\n")


def test_cruft_json_is_excluded_from_image_and_sdist(project: Project, tmp_path: Path, engine: Engine) -> None:
    # Files that are not in the build context cannot affect the image or its layers.
    write(project, "context.Dockerfile", "FROM scratch\nCOPY . /\n")
    file = str(project.path / "context.Dockerfile")
    engine.docker("build", "--file", file, "--output", str(tmp_path / "context"), str(project.path))
    sent = {path.name for path in (tmp_path / "context").iterdir()}
    assert "pyproject.toml" in sent
    assert CRUFT_JSON not in sent
    with tarfile.open(build_distribution(project, "--sdist")) as archive:
        assert not any(name.endswith(CRUFT_JSON) for name in archive.getnames())
