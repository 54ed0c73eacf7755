"""The same answers generate the same project, byte for byte, with every Python, cookiecutter and template location."""

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
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from tests.command import COMMAND, cookiecutter, copy_template, create_repository, git, read_files
from tests.conftest import TEMPLATE, TOOLS, Bake, weekly_after
from tools.engine import Engine
from tools.locks import UvError, uv

# All answers come from the user's configuration.
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


@pytest.fixture(scope="session")
def expected_project(bake_once: Bake) -> tuple[str, dict[str, bytes]]:
    """Return the directory name and the files that every test must reproduce."""
    project = bake_once(**ANSWERS)
    return project.slug, read_files(project.path)


def create_work_dir(directory: Path) -> Path:
    """Create a working directory, and next to it a home directory with a configuration."""
    home, work_dir = directory / "home", directory / "work"
    home.mkdir()
    work_dir.mkdir()
    configuration = {
        "default_context": ANSWERS,
        "cookiecutters_dir": str(home / "clones"),
        "replay_dir": "~/replays",
        "abbreviations": {"gh": f"file://{directory}/{{0}}.git"},
    }
    # JSON is valid YAML.
    (home / ".cookiecutterrc").write_text(json.dumps(configuration, ensure_ascii=False), "utf-8")
    return work_dir


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    """Return a working directory, next to a configured home directory."""
    return create_work_dir(tmp_path)


@cache
def uv_cache() -> str:
    """Return uv's cache directory, to use it with another home directory."""
    return uv("cache", "dir")


@cache
def interpreter(version: str) -> Path | None:
    """Return a local Python interpreter, found by uv or pyenv."""
    with suppress(UvError):
        return Path(uv("python", "find", "--no-python-downloads", version))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return next(pyenv.glob(f"versions/{version}.*/bin/python"), None)


def run_with_uvx(work_dir: Path, python: Path, cookiecutter_version: str, *arguments: str | Path) -> None:
    """Run a version of cookiecutter with a Python version, as `uvx` does."""
    options = ("--quiet", "--python", python, "--from", f"cookiecutter=={cookiecutter_version}")
    command = (TOOLS / "uv", "tool", "run", *options, "cookiecutter")
    result = cookiecutter(work_dir, *arguments, command=command, UV_CACHE_DIR=uv_cache())
    assert result.returncode == 0, result.stdout


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(("python", "version"), [("3.11", "2.1.1"), ("3.8", "2.2.0")])
def test_older_cookiecutter_or_python_is_rejected_in_one_sentence(work_dir: Path, python: str, version: str) -> None:
    found = interpreter(python)
    if not found:
        pytest.skip(f"Python {python} is not installed")
    options = ("--quiet", "--python", found, "--from", f"cookiecutter=={version}")
    command = (TOOLS / "uv", "tool", "run", *options, "cookiecutter")
    result = cookiecutter(work_dir, "--no-input", TEMPLATE, command=command, UV_CACHE_DIR=uv_cache())
    assert result.returncode == 1
    assert result.stdout == (
        f"This template needs cookiecutter 2.2 or later on Python 3.10 or later, but this is cookiecutter "
        f"{version} on Python {python}. Run `pipx run cookiecutter` or `uvx cookiecutter` instead.\n"
    )
    assert list(work_dir.iterdir()) == []


@pytest.mark.usefixtures("index")
def test_oldest_supported_cookiecutter_generates_same_project(
    work_dir: Path, expected_project: tuple[str, dict[str, bytes]]
) -> None:
    python = interpreter("3.10") or Path(sys.executable)
    run_with_uvx(work_dir, python, "2.2.0", "--no-input", TEMPLATE)
    assert read_files(work_dir / expected_project[0]) == expected_project[1]


# Files are passed as archives, because the engine may be on another host.
IN_A_CONTAINER = """
cd /root && tar -x && mv home/.cookiecutterrc . && mkdir work
for version in "$@"; do
  PYTHONPATH=/root/packages/$version python -m cookiecutter --no-input --output-dir work/$version template >&2
done
cd work && tar -c *
"""


@pytest.fixture(scope="session")
def run_in_container(
    engine: Engine, base_image: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return a function that runs both versions of cookiecutter in a container with a given Python."""

    @cache
    def run(python: str) -> Path:
        work_dir = create_work_dir(tmp_path_factory.mktemp(python))
        copy_template(work_dir.parent)
        for version in (OLD, NEW):
            target = ("--target", work_dir.parent / "packages" / version)
            platform = ("--python-version", python, "--python-platform", "linux", "--only-binary", ":all:")
            uv("pip", "install", *target, *platform, f"cookiecutter=={version}")
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for directory in ("home", "packages", "template"):
                archive.add(work_dir.parent / directory, directory)
        options = ("--rm", "--interactive", "--network=none", base_image(python))
        command = ["docker", "run", *options, "sh", "-euc", IN_A_CONTAINER, "sh", OLD, NEW]
        result = subprocess.run(
            command, input=stream.getvalue(), capture_output=True, env=engine.environment, check=False
        )
        assert result.returncode == 0, result.stderr.decode()
        with tarfile.open(fileobj=io.BytesIO(result.stdout)) as archive:
            archive.extractall(work_dir, filter="data")
        return work_dir

    return run


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    "versions",
    weekly_after(
        2,
        [
            ("3.10", OLD),
            ("3.13", NEW),
            ("3.10", NEW),
            ("3.11", OLD),
            ("3.12", NEW),
            ("3.13", OLD),
            ("3.14", OLD),
            ("3.14", NEW),
        ],
    ),
    ids="-".join,
)
def test_python_and_cookiecutter_versions_generate_same_project(
    work_dir: Path,
    expected_project: tuple[str, dict[str, bytes]],
    request: pytest.FixtureRequest,
    versions: tuple[str, str],
) -> None:
    python, version = versions
    if found := interpreter(python):
        run_with_uvx(work_dir, found, version, "--no-input", TEMPLATE)
    else:
        work_dir = request.getfixturevalue("run_in_container")(python) / version
    slug, contents = expected_project
    assert read_files(work_dir) == {f"{slug}/{name}": content for name, content in contents.items()}


def local_directory(directory: Path) -> list[str]:
    return [str(copy_template(directory))]


def relative_directory(directory: Path) -> list[str]:
    return [os.path.relpath(copy_template(directory), directory / "work")]


def git_url(directory: Path) -> list[str]:
    return [f"file://{create_repository(directory)}"]


def abbreviation(directory: Path) -> list[str]:
    create_repository(directory)
    return ["gh:org/sums"]


def tag(directory: Path) -> list[str]:
    bare = create_repository(directory)
    (directory / "template/cookiecutter.json").write_text("spoilt", "utf-8")
    git(directory / "template", "commit", "--quiet", "--all", "--message=second")
    git(directory / "template", "push", "--quiet", bare, "main")
    return ["gh:org/sums", "--checkout", "v1"]


def zip_archive(directory: Path) -> list[str]:
    # Like the archives of git hosting services, which contain a directory named after the branch.
    copy_template(directory).rename(directory / "sums-main")
    return [shutil.make_archive(str(directory / "sums"), "zip", directory, "sums-main")]


@pytest.mark.parametrize("source", [local_directory, relative_directory, git_url, abbreviation, tag, zip_archive])
def test_template_source_does_not_affect_the_project(
    work_dir: Path, expected_project: tuple[str, dict[str, bytes]], source: Callable[[Path], list[str]]
) -> None:
    result = cookiecutter(work_dir, "--no-input", *source(work_dir.parent))
    assert result.returncode == 0, result.stdout
    slug, contents = expected_project
    assert read_files(work_dir) == {f"{slug}/{name}": content for name, content in contents.items()}
    home = work_dir.parent / "home"
    # Only the directories that the configuration sets were created.
    assert {path.name for path in home.iterdir()} <= {".cookiecutterrc", "clones", "replays"}
    assert len(list((home / "replays").glob("*.json"))) == 1
    assert (home / "clones/sums/cookiecutter.json").is_file() == (source in (git_url, abbreviation, tag))


@pytest.mark.parametrize(
    "locale",
    [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"LC_ALL": ""}],
    ids=["C", "ASCII only", "none"],
)
def test_locale_does_not_affect_the_project(
    work_dir: Path, expected_project: tuple[str, dict[str, bytes]], locale: dict[str, str]
) -> None:
    result = cookiecutter(work_dir, "--no-input", TEMPLATE, command=COMMAND, **locale)
    assert result.returncode == 0, result.stdout
    slug, contents = expected_project
    assert read_files(work_dir / slug) == contents


@pytest.mark.usefixtures("index")
def test_replay_generates_the_same_project(work_dir: Path, bake_once: Bake) -> None:
    result = cookiecutter(work_dir, "--no-input", TEMPLATE, "project_slug=again", "strategy=pex", "ci=none")
    assert result.returncode == 0, result.stdout
    contents = read_files(work_dir / "again")
    assert contents == read_files(
        bake_once(**{**ANSWERS, "project_slug": "again", "strategy": "pex", "ci": "none"}).path
    )
    (replay,) = (work_dir.parent / "home/replays").glob("*.json")
    # A replay does not use the current configuration.
    saved_replay = replay.rename(work_dir.parent / "saved.json")
    assert cookiecutter(work_dir, "--no-input", TEMPLATE, "project_slug=other").returncode == 0
    result = cookiecutter(work_dir, "--replay-file", saved_replay, "--output-dir", "by-file", TEMPLATE)
    assert result.returncode == 0, result.stdout
    assert read_files(work_dir / "by-file/again") == contents
    result = cookiecutter(work_dir, "--replay", "--output-dir", "by-name", TEMPLATE)
    assert result.returncode == 0, result.stdout
    assert read_files(work_dir / "by-name/other") == read_files(work_dir / "other")
    run_with_uvx(work_dir, Path(sys.executable), OLD, "--replay-file", saved_replay, "--output-dir", "by-old", TEMPLATE)
    assert read_files(work_dir / "by-old/again") == contents


@pytest.mark.usefixtures("index")
def test_pipx_run_generates_the_same_project(work_dir: Path, expected_project: tuple[str, dict[str, bytes]]) -> None:
    # pipx uses uv instead of pip to create the environment.
    options = ("--quiet", "--no-path-check", "--spec", f"cookiecutter=={NEW}")
    command = (TOOLS / "uv", "tool", "run", "--quiet", "pipx", "run", *options, "cookiecutter")
    own = {"PIPX_HOME": str(work_dir.parent / "pipx"), "PIPX_DEFAULT_BACKEND": "uv", "UV_CACHE_DIR": uv_cache()}
    path = os.pathsep.join([str(TOOLS), os.environ["PATH"]])
    result = cookiecutter(work_dir, "--no-input", TEMPLATE, command=command, PATH=path, **own)
    assert result.returncode == 0, result.stdout
    slug, contents = expected_project
    assert read_files(work_dir) == {f"{slug}/{name}": content for name, content in contents.items()}


def test_only_the_given_configuration_provides_answers(
    work_dir: Path, expected_project: tuple[str, dict[str, bytes]]
) -> None:
    slug, contents = expected_project
    own = work_dir.parent / "own.yaml"
    (work_dir.parent / "home/.cookiecutterrc").rename(own)
    assert cookiecutter(work_dir, "--no-input", TEMPLATE).returncode == 0
    assert [path.name for path in work_dir.iterdir()] == ["checksum-service"]
    result = cookiecutter(work_dir, "--no-input", TEMPLATE, COOKIECUTTER_CONFIG=str(own))
    assert result.returncode == 0, result.stdout
    assert read_files(work_dir / slug) == contents
