"""Projects follow their template: cruft brings new versions and other answers, and keeps what people did."""

from __future__ import annotations

import json
import tarfile
from itertools import cycle
from pathlib import Path

import pytest

from tests.conftest import APPS, QUESTIONS, Bake, Project, committed, copied
from tests.engine import Engine
from tests.test_package import built
from tests.updates import NEW, REMOVED, RENAMED, URL, Template, cloned, make_template

NOTE = ".cruft.json"


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Make the template's versions once."""
    return make_template(tmp_path_factory.mktemp("versions"))


@pytest.fixture(scope="session")
def created(versions: Template, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Let cruft create the default project from the first version, once."""
    return versions.create(tmp_path_factory.mktemp("created"))


@pytest.fixture
def project(created: Project, tmp_path: Path) -> Project:
    """Give a test that project for itself: it knows the template by its URL, wherever that leads."""
    return copied(created, tmp_path)


@pytest.fixture
def template(versions: Template, tmp_path: Path) -> Template:
    """Give a template of the test's own, whose newest version is the second."""
    return cloned(versions, tmp_path, "v2")


def dockerfiles(project: Project) -> list[str]:
    """List the Dockerfiles of a project: one, or one for each strategy."""
    return sorted(name for name in project.files if name.endswith("Dockerfile") and not name.startswith("lessons/"))


def texts(project: Project) -> dict[str, str]:
    """Read all files of a project that git would track, but cruft's own."""
    return {name: project.read(name) for name in project.files if not name.startswith(".git/") and name != NOTE}


def write(project: Project, name: str, text: str) -> None:
    """Write a file of the user's own."""
    (project.path / name).write_text(text, "utf-8")


def edit_elsewhere(project: Project) -> None:
    """Do what a user does where the next version changes nothing: edit, add and remove."""
    for name in dockerfiles(project):
        project.edit(name, "# Write stdout at once", "# Mine. Write stdout at once")
    project.edit("Makefile", "PYTHON ?= python3\n", "PYTHON ?= python3.99\n")
    project.edit(RENAMED[0], "import pytest\n", "import pytest  # mine\n")
    write(project, "notes.txt", "mine\n")
    write(project, "src/acme/extra.c", "int extra;\n")
    (project.path / "docs/CHANGELOG.md").unlink()


def unmerged(template: Template, project: Project) -> list[str]:
    """List the files in which git has left a conflict."""
    return template.git(project.path, "diff", "--name-only", "--diff-filter=U").splitlines()


def differing(diff: str) -> set[str]:
    """List the files that a diff of cruft's names."""
    heads = [line.split() for line in diff.splitlines() if line.startswith("diff --git ")]
    return {word.partition("/")[2] for head in heads for word in head[2:]}


@pytest.mark.parametrize(("strategy", "app"), list(zip(QUESTIONS["strategy"], cycle(APPS))))
def test_a_new_version_comes_and_edits_stay(template: Template, tmp_path: Path, strategy: str, app: str) -> None:
    project = template.create(tmp_path, strategy=strategy, app=app)
    edit_elsewhere(project)
    project.edit("docs/CONTRIBUTING.md", "A change is ready", "A patch is ready")
    template.commit(project.path)
    edited = {*dockerfiles(project), "Makefile", "docs/CONTRIBUTING.md", RENAMED[0]}
    assert differing(template.cruft(project.path, "diff")) == edited

    before = texts(project)
    printed = template.cruft(project.path, "update", "--skip-apply-ask")
    assert printed.count("\n") == 1, "the hooks speak up in an update"

    after = texts(project)
    assert after.keys() - before.keys() == {NEW, RENAMED[1]}
    assert before.keys() - after.keys() == {REMOVED, RENAMED[0]}
    assert after[NEW] == "Write to you@example.com, ACME.\n"
    of_venv = {"venv": "Dockerfile", "all": "strategies/venv/Dockerfile"}
    for name in dockerfiles(project):
        assert "# Mine. Write stdout" in after[name]
        assert "USER 10002:10002" in after[name]
        assert ("# The venv of version 2." in after[name]) == (name == of_venv.get(strategy))
        # The default is another now; the project keeps what it was made with.
        assert "ARG BASE=python:3.14-slim" in after[name]
    assert "PYTHON ?= python3.99\n" in after["Makefile"]
    assert "-p tests.memory" in after["Makefile"]
    assert "import pytest  # mine" in after[RENAMED[1]]
    assert "interval: monthly" in after[".github/dependabot.yml"]
    assert (after["notes.txt"], after["src/acme/extra.c"]) == ("mine\n", "int extra;\n")

    assert unmerged(template, project) == ["docs/CONTRIBUTING.md"]
    ours, theirs = "A patch is ready when these end without", "Version 2: a change is ready when these end without"
    conflict = rf"<<<<<<< ours\n{ours} an error:\n=======\n{theirs} an error:\n>>>>>>> theirs\n"
    assert conflict.replace(r"\n", "\n") in after["docs/CONTRIBUTING.md"]
    assert "up to date" in template.cruft(project.path, "check")


def test_an_edited_file_that_the_template_removes_is_kept(template: Template, project: Project) -> None:
    project.edit(REMOVED, "*.pex binary", "*.pex -text")
    project.edit("docs/CONTRIBUTING.md", "A change is ready", "A patch is ready")
    template.commit(project.path)
    template.cruft(project.path, "update", "--skip-apply-ask")
    # Git merges no removal: cruft then applies what fits, and leaves the rest beside its file.
    assert "*.pex -text" in project.read(REMOVED)
    assert "A patch is ready" in project.read("docs/CONTRIBUTING.md")
    assert {name for name in project.files if name.endswith(".rej")} == {"docs/CONTRIBUTING.md.rej"}
    assert "+Version 2: a change is ready" in project.read("docs/CONTRIBUTING.md.rej")
    assert "USER 10002:10002" in project.read("Dockerfile")
    assert project.read(NEW)


def test_an_update_needs_a_clean_work_tree_but_may_leave_new_files_alone(template: Template, project: Project) -> None:
    write(project, "notes.txt", "mine\n")
    before = texts(project)
    assert "unclean git project" in template.cruft(project.path, "update", "--skip-apply-ask", status=1)
    assert texts(project) == before
    template.cruft(project.path, "update", "--skip-apply-ask", "--allow-untracked-files")
    assert project.read("notes.txt") == "mine\n"
    assert project.read(NEW)


def test_a_fresh_project_is_up_to_date_and_differs_in_nothing(versions: Template, tmp_path: Path) -> None:
    template = cloned(versions, tmp_path, "v3")
    # A version whose extensions are not those of the checkout.
    project = template.create(tmp_path, "v3")
    assert "up to date" in template.cruft(project.path, "check")
    assert template.cruft(project.path, "diff", "--exit-code") == ""
    assert "already up to date" in template.cruft(project.path, "update", "--skip-apply-ask")
    assert template.git(project.path, "status", "--porcelain") == ""


# One after the other, and back to where it began.
OTHER_ANSWERS = [
    {"strategy": "wheels", "ci": "gitlab"},
    {"strategy": "all", "ci": "none", "app": "cli"},
    {"strategy": "platter", "license": "Apache-2.0"},
    {"strategy": "venv", "ci": "github", "app": "service", "license": "MIT"},
]


def test_other_answers_bring_their_files_and_take_the_old_ones(
    template: Template, project: Project, bake_once: Bake
) -> None:
    project.edit("Makefile", "PYTHON ?= python3\n", "PYTHON ?= python3.99\n")
    write(project, "notes.txt", "mine\n")
    template.commit(project.path)
    answers = {"project_slug": "acme"}
    for change in OTHER_ANSWERS:
        options = ("--checkout", "v1", "--variables-to-update", json.dumps(change))
        template.cruft(project.path, "update", "--skip-apply-ask", *options)
        assert unmerged(template, project) == []
        template.commit(project.path)
        answers |= change
        expected = texts(bake_once(**answers))
        expected["Makefile"] = expected["Makefile"].replace("PYTHON ?= python3\n", "PYTHON ?= python3.99\n")
        assert texts(project) == {**expected, "notes.txt": "mine\n"}


def test_an_edit_of_the_dockerfile_goes_along_when_all_strategies_come(template: Template, project: Project) -> None:
    project.edit("Dockerfile", "# Write stdout at once", "# Mine. Write stdout at once")
    template.commit(project.path)
    every = ("update", "--skip-apply-ask", "--checkout", "v1", "--variables-to-update", '{"strategy": "all"}')
    template.cruft(project.path, *every)
    moved = [name for name in dockerfiles(project) if "# Mine." in project.read(name)]
    assert moved == ["strategies/venv/Dockerfile"]
    template.commit(project.path)
    template.cruft(project.path, *every[:-1], '{"strategy": "venv"}')
    assert dockerfiles(project) == ["Dockerfile"]
    assert "# Mine." in project.read("Dockerfile")


def test_a_project_of_plain_cookiecutter_can_be_linked_later(
    template: Template, tmp_path: Path, bake_once: Bake
) -> None:
    answers = {"project_slug": "acme", "strategy": "wheels"}
    project = committed(bake_once(**answers), tmp_path)
    link = ("link", "--no-input", "--default-config", "--checkout", "v1", "--extra-context", json.dumps(answers), URL)
    template.cruft(project.path, *link)
    assert template.cruft(project.path, "diff", "--exit-code") == ""
    template.commit(project.path)
    assert "out of date" in template.cruft(project.path, "check", status=1)
    template.cruft(project.path, "update", "--skip-apply-ask")
    assert "USER 10002:10002" in project.read("Dockerfile")
    assert project.read(NEW)


def test_what_cruft_writes_down_is_short_and_true_anywhere(template: Template, project: Project) -> None:
    note = json.loads(project.read(NOTE))
    answers = {name: value for name, value in note["context"]["cookiecutter"].items() if not name.startswith("_")}
    defaults = {name: value[0] if isinstance(value, list) else value for name, value in QUESTIONS.items()}
    assert answers == {**defaults, "project_slug": "acme", "package_name": "acme"}
    questions = json.loads((template.path / "cookiecutter.json").read_text("utf-8"))
    private = {name: value for name, value in note["context"]["cookiecutter"].items() if name.startswith("_")}
    assert private == {
        "__checked": "True",
        "_copy_without_render": questions["_copy_without_render"],
        "_extensions": ["local_extensions.Answers"],
        "_template": URL,
        "_commit": note["commit"],
    }
    assert note["commit"] == template.git(template.path, "rev-parse", "v1")
    assert str(template.path.parent) not in project.read(NOTE)
    assert project.read(NOTE).endswith("}\n")


def test_what_cruft_writes_down_gets_into_no_build(project: Project, tmp_path: Path, engine: Engine) -> None:
    # Nothing in the context can enter an image, or change a layer's key.
    write(project, "context.Dockerfile", "FROM scratch\nCOPY . /\n")
    file = str(project.path / "context.Dockerfile")
    engine.docker("build", "--file", file, "--output", str(tmp_path / "context"), str(project.path))
    sent = {path.name for path in (tmp_path / "context").iterdir()}
    assert "pyproject.toml" in sent
    assert NOTE not in sent
    with tarfile.open(built(project, "--sdist")) as archive:
        assert not any(name.endswith(NOTE) for name in archive.getnames())
