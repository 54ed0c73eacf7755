"""The same answers give the same project, byte for byte, whatever runs cookiecutter and wherever the template is."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import local_extensions
from tests.command import COMMAND, cookiecutter, copied_template, files, git, repository
from tests.conftest import TEMPLATE, TOOLS, Bake
from tests.engine import Engine

# Every answer comes from the user's configuration.
ANSWERS = {
    "project_name": "Prüf-Summen №1",
    "description": "\"Sums\" and 'more', \\ 北京 🐍.",
    "author_name": "Adélie Lovelace",
    "author_email": "adelie@example.com",
    "license": "BSD-3-Clause",
    "python_version": "3.13",
    "app": "service",
    "strategy": "all",
    "ci": "gitlab",
}
OLD, NEW = "2.6.0", importlib.metadata.version("cookiecutter")
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]


@pytest.fixture(scope="session")
def expected(bake_once: Bake) -> tuple[str, dict[str, bytes]]:
    """Return the folder's name and the files of the project that all others must equal."""
    project = bake_once(**ANSWERS)
    return project.slug, files(project.path)


def configured(folder: Path) -> Path:
    """Make a folder to work in; beside it is a home with a configuration."""
    home, workplace = folder / "home", folder / "work"
    home.mkdir()
    workplace.mkdir()
    configuration = {
        "default_context": ANSWERS,
        "cookiecutters_dir": str(home / "clones"),
        "replay_dir": "~/replays",
        "abbreviations": {"gh": f"file://{folder}/{{0}}.git"},
    }
    # JSON is YAML, too.
    (home / ".cookiecutterrc").write_text(json.dumps(configuration, ensure_ascii=False), "utf-8")
    return workplace


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """Return a configured folder to work in."""
    return configured(tmp_path)


def uv(*arguments: str | Path, check: bool = True) -> str:
    """Run uv and return what it prints."""
    command = [TOOLS / "uv", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=check).stdout.strip()


@cache
def uv_cache() -> str:
    """Tell where uv keeps packages, to keep it when the home is another one."""
    return uv("cache", "dir")


@cache
def interpreter(version: str) -> Path | None:
    """Find an interpreter on this machine: one that uv knows, or one of pyenv's."""
    if found := uv("python", "find", "--no-python-downloads", version, check=False):
        return Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return next(pyenv.glob(f"versions/{version}.*/bin/python"), None)


def with_uvx(workplace: Path, python: Path, cookiecutter_version: str, *arguments: str | Path) -> None:
    """Run a version of cookiecutter, in a Python, as `uvx` does."""
    options = ("--quiet", "--python", python, "--from", f"cookiecutter=={cookiecutter_version}")
    command = (TOOLS / "uv", "tool", "run", *options, "cookiecutter")
    result = cookiecutter(workplace, *arguments, command=command, UV_CACHE_DIR=uv_cache())
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("python", "version"), [("3.11", "2.1.1"), ("3.8", "2.2.0")])
def test_older_cookiecutter_or_python_is_rejected_in_one_sentence(workplace: Path, python: str, version: str) -> None:
    found = interpreter(python)
    if not found:
        pytest.skip(f"there is no Python {python} on this machine")
    options = ("--quiet", "--python", found, "--from", f"cookiecutter=={version}")
    command = (TOOLS / "uv", "tool", "run", *options, "cookiecutter")
    result = cookiecutter(workplace, "--no-input", TEMPLATE, command=command, UV_CACHE_DIR=uv_cache())
    assert result.returncode == 1
    assert result.stdout == (
        f"This template needs cookiecutter 2.2 or later on Python 3.10 or later, but this is cookiecutter "
        f"{version} on Python {python}. Run `pipx run cookiecutter` or `uvx cookiecutter` instead.\n"
    )
    assert list(workplace.iterdir()) == []


def test_oldest_accepted_cookiecutter_generates_the_same(
    workplace: Path, expected: tuple[str, dict[str, bytes]]
) -> None:
    python = interpreter("3.10") or Path(sys.executable)
    with_uvx(workplace, python, "2.2.0", "--no-input", TEMPLATE)
    assert files(workplace / expected[0]) == expected[1]


# Files come and go as archives, because an engine may be on another machine.
IN_A_CONTAINER = """
cd /root && tar -x && mv home/.cookiecutterrc . && mkdir work
for version in "$@"; do
  PYTHONPATH=/root/packages/$version python -m cookiecutter --no-input --output-dir work/$version template >&2
done
cd work && tar -c *
"""


@pytest.fixture(scope="session")
def in_a_container(
    engine: Engine, base_image: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return the function that runs both versions of cookiecutter in a container, which has a Python of its own."""

    @cache
    def run(python: str) -> Path:
        workplace = configured(tmp_path_factory.mktemp(python))
        copied_template(workplace.parent)
        for version in (OLD, NEW):
            target = ("--target", workplace.parent / "packages" / version)
            platform = ("--python-version", python, "--python-platform", "linux", "--only-binary", ":all:")
            uv("pip", "install", *target, *platform, f"cookiecutter=={version}")
        given = io.BytesIO()
        with tarfile.open(fileobj=given, mode="w") as archive:
            for folder in ("home", "packages", "template"):
                archive.add(workplace.parent / folder, folder)
        options = ("--rm", "--interactive", "--network=none", base_image(python))
        command = ["docker", "run", *options, "sh", "-euc", IN_A_CONTAINER, "sh", OLD, NEW]
        result = subprocess.run(
            command, input=given.getvalue(), capture_output=True, env=engine.environment, check=False
        )
        assert result.returncode == 0, result.stderr.decode()
        with tarfile.open(fileobj=io.BytesIO(result.stdout)) as archive:
            archive.extractall(workplace, filter="data")
        return workplace

    return run


@pytest.mark.parametrize(
    ("python", "version"),
    [
        ("3.10", OLD),
        ("3.10", NEW),
        ("3.11", OLD),
        ("3.12", NEW),
        ("3.13", OLD),
        ("3.13", NEW),
        ("3.14", OLD),
        ("3.14", NEW),
    ],
)
def test_every_python_and_cookiecutter_makes_the_same_project(
    workplace: Path,
    expected: tuple[str, dict[str, bytes]],
    request: pytest.FixtureRequest,
    python: str,
    version: str,
) -> None:
    if found := interpreter(python):
        with_uvx(workplace, found, version, "--no-input", TEMPLATE)
    else:
        workplace = request.getfixturevalue("in_a_container")(python) / version
    slug, contents = expected
    assert files(workplace) == {f"{slug}/{name}": content for name, content in contents.items()}


def modules(version: str, request: pytest.FixtureRequest) -> set[str]:
    """List the standard modules of a Python whose names a project could ask for."""
    script = "import sys; print(*sys.stdlib_module_names)"
    if found := interpreter(version):
        printed = subprocess.run([found, "-c", script], capture_output=True, text=True, check=True).stdout
    else:
        engine, image = request.getfixturevalue("engine"), request.getfixturevalue("base_image")(version)
        printed = engine.docker("run", "--rm", "--network=none", image, "python", "-c", script).stdout
    return {name.lower() for name in printed.split() if local_extensions.PACKAGE.fullmatch(name.lower())}


def test_the_python_that_runs_cookiecutter_does_not_change_which_names_are_taken(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [modules(version, request) for version in PYTHONS]
    monkeypatch.setattr(sys, "stdlib_module_names", frozenset.intersection(*map(frozenset, found)))
    assert [name for name in set.union(*found) if not local_extensions.is_reserved(name)] == []


def a_folder(folder: Path) -> list[str]:
    return [str(copied_template(folder))]


def a_relative_folder(folder: Path) -> list[str]:
    return [os.path.relpath(copied_template(folder), folder / "work")]


def a_git_address(folder: Path) -> list[str]:
    return [f"file://{repository(folder)}"]


def an_abbreviation(folder: Path) -> list[str]:
    repository(folder)
    return ["gh:org/sums"]


def a_tag(folder: Path) -> list[str]:
    bare = repository(folder)
    (folder / "template/cookiecutter.json").write_text("spoilt", "utf-8")
    git(folder / "template", "commit", "--quiet", "--all", "--message=second")
    git(folder / "template", "push", "--quiet", bare, "main")
    return ["gh:org/sums", "--checkout", "v1"]


def a_zip(folder: Path) -> list[str]:
    # As the hosts of git repositories pack them: in a folder that is named after the branch.
    copied_template(folder).rename(folder / "sums-main")
    return [shutil.make_archive(str(folder / "sums"), "zip", folder, "sums-main")]


@pytest.mark.parametrize("source", [a_folder, a_relative_folder, a_git_address, an_abbreviation, a_tag, a_zip])
def test_the_template_may_be_anywhere(
    workplace: Path, expected: tuple[str, dict[str, bytes]], source: Callable[[Path], list[str]]
) -> None:
    result = cookiecutter(workplace, "--no-input", *source(workplace.parent))
    assert result.returncode == 0, result.stdout
    slug, contents = expected
    assert files(workplace) == {f"{slug}/{name}": content for name, content in contents.items()}
    home = workplace.parent / "home"
    # Nothing but what the configuration names.
    assert {path.name for path in home.iterdir()} <= {".cookiecutterrc", "clones", "replays"}
    assert len(list((home / "replays").glob("*.json"))) == 1
    assert (home / "clones/sums/cookiecutter.json").is_file() == (source in (a_git_address, an_abbreviation, a_tag))


@pytest.mark.parametrize(
    "locale",
    [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"LC_ALL": ""}],
    ids=["C", "ASCII only", "none"],
)
def test_the_locale_does_not_matter(
    workplace: Path, expected: tuple[str, dict[str, bytes]], locale: dict[str, str]
) -> None:
    result = cookiecutter(workplace, "--no-input", TEMPLATE, command=COMMAND, **locale)
    assert result.returncode == 0, result.stdout
    slug, contents = expected
    assert files(workplace / slug) == contents


def test_a_replay_makes_the_same_project_again(workplace: Path, bake_once: Bake) -> None:
    result = cookiecutter(workplace, "--no-input", TEMPLATE, "project_slug=again", "strategy=pex", "ci=none")
    assert result.returncode == 0, result.stdout
    contents = files(workplace / "again")
    assert contents == files(bake_once(**{**ANSWERS, "project_slug": "again", "strategy": "pex", "ci": "none"}).path)
    (replay,) = (workplace.parent / "home/replays").glob("*.json")
    # The replay stands by itself: what the configuration says now is of no account.
    kept = replay.rename(workplace.parent / "kept.json")
    assert cookiecutter(workplace, "--no-input", TEMPLATE, "project_slug=other").returncode == 0
    result = cookiecutter(workplace, "--replay-file", kept, "--output-dir", "by-file", TEMPLATE)
    assert result.returncode == 0, result.stdout
    assert files(workplace / "by-file/again") == contents
    result = cookiecutter(workplace, "--replay", "--output-dir", "by-name", TEMPLATE)
    assert result.returncode == 0, result.stdout
    assert files(workplace / "by-name/other") == files(workplace / "other")
    with_uvx(workplace, Path(sys.executable), OLD, "--replay-file", kept, "--output-dir", "by-old", TEMPLATE)
    assert files(workplace / "by-old/again") == contents


def test_pipx_runs_it(workplace: Path, expected: tuple[str, dict[str, bytes]]) -> None:
    # Uv makes the environment that pipx would have pip make.
    options = ("--quiet", "--no-path-check", "--spec", f"cookiecutter=={NEW}")
    command = (TOOLS / "uv", "tool", "run", "--quiet", "pipx", "run", *options, "cookiecutter")
    own = {"PIPX_HOME": str(workplace.parent / "pipx"), "PIPX_DEFAULT_BACKEND": "uv", "UV_CACHE_DIR": uv_cache()}
    path = os.pathsep.join([str(TOOLS), os.environ["PATH"]])
    result = cookiecutter(workplace, "--no-input", TEMPLATE, command=command, PATH=path, **own)
    assert result.returncode == 0, result.stdout
    slug, contents = expected
    assert files(workplace) == {f"{slug}/{name}": content for name, content in contents.items()}


def test_no_answer_comes_from_another_configuration(workplace: Path, expected: tuple[str, dict[str, bytes]]) -> None:
    slug, contents = expected
    own = workplace.parent / "own.yaml"
    (workplace.parent / "home/.cookiecutterrc").rename(own)
    assert cookiecutter(workplace, "--no-input", TEMPLATE).returncode == 0
    assert [path.name for path in workplace.iterdir()] == ["checksum-service"]
    result = cookiecutter(workplace, "--no-input", TEMPLATE, COOKIECUTTER_CONFIG=str(own))
    assert result.returncode == 0, result.stdout
    assert files(workplace / slug) == contents
