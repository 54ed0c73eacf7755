"""Images of every strategy and app, built and run with a real engine."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any

import pytest

from tests.conftest import (
    APPS,
    BAKE,
    CHECKSUM,
    DIGITS,
    QUESTIONS,
    STRATEGIES,
    Bake,
    Build,
    Image,
    copy_project,
)
from tools.engine import Engine
from tools.sizes import layer_sizes, sizes

# A service has dependencies. One strategy is enough for a command, because other tests build it with each strategy.
COMBINATIONS = [*((strategy, "service") for strategy in STRATEGIES), (STRATEGIES[0], "cli")]
# Programs that only a build needs.
LEFTOVERS = re.compile(
    r"/bin/(gcc|g\+\+|cc|c\+\+|ld|as|make|cpp|uv|uvx|pex|ccache)$|\.(h|c|o|a|whl|pex)$|\.tar\.gz$"
    r"|/var/lib/apt/lists/.+|/var/cache/apt/.+|/\.cache/|/requirements[^/]*\.(in|txt)$|/site-packages/(pip|setuptools|uv)/"
)


@pytest.fixture(scope="module", params=COMBINATIONS, ids="-".join)
def image(request: pytest.FixtureRequest, bake_once: Bake, build: Build) -> Image:
    strategy, app = request.param
    return build(bake_once(project_slug="acme-sums", strategy=strategy, app=app))


def files_of(engine: Engine, tag: str) -> set[str]:
    """Return every path in an image, without those that the kernel and the engine add at run time."""
    script = "find / -xdev ! -path '/proc*' ! -path '/sys*' ! -path '/dev*' ! -path '/etc/*'"
    return set(engine.docker("run", "--rm", "--network=none", "--user=0", tag, "sh", "-c", script).stdout.splitlines())


@pytest.fixture(scope="module")
def added_files(image: Image) -> set[str]:
    """Return the paths that the image adds to its base image."""
    return files_of(image.engine, image.tag) - files_of(image.engine, image.base)


def assert_command_works(image: Image) -> None:
    """Run the command in a hardened container, with and without errors."""
    assert image.run("acme-sums", "crc32c", input=DIGITS).stdout == f"{CHECKSUM}  -\n"
    assert image.run("acme-sums", "--version").stdout == "acme-sums 0.1.0\n"
    missing = image.run("acme-sums", "crc32c", "missing", "/dev/null", check=False)
    assert (missing.returncode, missing.stdout) == (1, "00000000  /dev/null\n")
    assert missing.stderr == "acme-sums: missing: No such file or directory\n"


def test_hardened_container_computes_the_checksum(image: Image) -> None:
    assert_command_works(image)


def test_checksum_is_computed_by_the_c_extension(image: Image) -> None:
    script = "import acme_sums, acme_sums._native as native; print(acme_sums.crc32c is native.crc32c, native.__file__)"
    same, path = image.run("python", "-c", script).stdout.split()
    assert same == "True"
    assert path.endswith(".so")


def test_image_runs_as_numeric_non_root_uid(image: Image) -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", image.config()["User"])


def test_program_cannot_modify_its_own_files(image: Image, added_files: set[str]) -> None:
    assert added_files
    script = (
        "find / -xdev \\( ! -user root -o ! -group root -o -perm /022 \\) ! -type l ! -path '/proc*' ! -path '/dev*'"
    )
    changeable = set(image.shell(script).splitlines())
    assert changeable & added_files == set()
    writable = "find / -xdev -writable ! -type l ! -path '/proc*' ! -path '/dev*' 2>/dev/null || true"
    by_anyone = image.engine.docker("run", "--rm", "--user=12345:0", image.tag, "sh", "-c", writable).stdout
    assert set(by_anyone.splitlines()) & added_files == set()


def test_image_contains_no_build_tools(image: Image, added_files: set[str]) -> None:
    assert {path for path in added_files if LEFTOVERS.search(path)} == set()
    tools = "for tool in gcc cc ld make uv pex; do ! command -v $tool || exit 1; done"
    image.shell(tools)


def is_standard_library_bytecode(path: str) -> bool:
    """Return whether a path is bytecode that belongs to the interpreter, or a directory of it."""
    own = re.search(r"/(site|dist)-packages/|^/opt/", path)
    return bool(re.search(r"/__pycache__(/[^/]+\.pyc)?$", path)) and not own


def test_image_adds_only_strategy_directory_and_bytecode(image: Image, added_files: set[str]) -> None:
    (programs, *_) = next(entry for entry in image.config()["Env"] if entry.startswith("PATH=")).split(":")
    directory = programs.removeprefix("PATH=").removesuffix("/bin")
    others = {path for path in added_files if not (path == directory or path.startswith(f"{directory}/"))}
    assert {path for path in others if not is_standard_library_bytecode(path)} == set()


def test_image_contains_bytecode_of_all_modules(added_files: set[str]) -> None:
    sources = {path for path in added_files if path.endswith(".py") and "/acme_sums/" in path}
    compiled = {path for path in added_files if path.endswith(".pyc") and "/acme_sums/" in path}
    assert len(sources) == len(compiled) > 0


# Print the standard library modules that were imported without bytecode.
UNCOMPILED = """
import sys
specs = [getattr(module, "__spec__", None) for module in sys.modules.values()]
import pathlib, sysconfig
stdlib, exists = sysconfig.get_path("stdlib") + "/", lambda path: pathlib.Path(path).exists()
print(*(s.name for s in specs if s and s.cached and s.origin.startswith(stdlib) and not exists(s.cached)))
"""


def test_startup_compiles_no_standard_library_module(image: Image) -> None:
    modules = {"service": "acme_sums.cli, acme_sums.api, acme_sums.service.healthcheck", "cli": "acme_sums.cli"}
    code = f"import {modules[image.project.answers['app']]}{UNCOMPILED}"
    # Do not use `-c`, because Python then imports modules that the program does not need.
    assert image.run("python", "-", input=code).stdout.split() == []


def test_standard_library_bytecode_is_small(image: Image, added_files: set[str]) -> None:
    bytecode = sorted(path for path in added_files if is_standard_library_bytecode(path) and path.endswith(".pyc"))
    assert bytecode
    assert int(image.shell(f"cat {' '.join(bytecode)} | wc -c")) < 6_000_000


def test_shared_libraries_are_found(image: Image, added_files: set[str]) -> None:
    modules = [path for path in added_files if path.endswith(".so") or ".so." in path]
    assert any("/acme_sums/_native." in path for path in modules)
    needed = image.engine.docker("run", "--rm", "--network=none", image.tag, "ldd", *modules).stdout
    assert "not found" not in needed


def test_image_config_and_labels(image: Image) -> None:
    config = image.config()
    command = {"service": ["acme-sums", "serve"], "cli": ["acme-sums", "--help"]}[image.project.answers["app"]]
    assert config["Cmd"] == command
    assert {"PYTHONUNBUFFERED=1", "PYTHONFAULTHANDLER=1", "HOME=/tmp"} <= set(config["Env"])
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert labels["title"] == "acme-sums"
    assert labels["description"] == QUESTIONS["description"]
    assert labels["licenses"] == "MIT"
    assert labels["authors"] == f"{QUESTIONS['author_name']} <{QUESTIONS['author_email']}>"
    test = config.get("Healthcheck", {}).get("Test", [])
    assert (test[:1] == ["CMD"]) == (image.project.answers["app"] == "service")
    assert "curl" not in test


@pytest.mark.attack
def test_crash_in_c_prints_a_traceback(image: Image) -> None:
    result = image.run("python", "-c", "import ctypes; ctypes.string_at(0)", check=False)
    assert "Segmentation fault" in result.stderr
    assert 'File "<string>", line 1' in result.stderr


def test_home_is_writable_and_not_on_import_path(image: Image) -> None:
    script = """
set -eu
packages=$(python -c 'import os, sys; print(f"{os.path.expanduser("~")}/.local/lib/python3.{sys.version_info[1]}")')
mkdir -p "$packages/site-packages"
echo 'raise SystemExit("imported from HOME")' >"$packages/site-packages/acme_sums.py"
cd /
acme-sums --version
"""
    assert image.run("sh", "-c", script, options=("--tmpfs=/tmp:size=1m",)).stdout.startswith("acme-sums ")


def test_cli_image_prints_help_by_default(bake_once: Bake, build: Build) -> None:
    image = build(bake_once(project_slug="acme-sums", strategy=STRATEGIES[0], app="cli"))
    assert image.run().stdout.startswith("usage: acme-sums")


def layers(image: Image) -> list[str]:
    inspected = image.engine.docker("inspect", "--format", "{{json .RootFS.Layers}}", image.tag).stdout
    found: list[str] = json.loads(inspected)
    return found


def test_source_change_affects_only_the_small_project_layer(image: Image, tmp_path: Any) -> None:
    project = copy_project(image.project, tmp_path)
    # Unique per run, because a long-lived engine would still have the previous run's build cached.
    project.edit("src/acme_sums/cli.py", "1 << 20", f"1 << 19  # {time.time_ns()}")
    tag = f"{image.tag}-edited"
    log = image.engine.docker("build", "--progress=plain", "--tag", tag, str(project.path)).stderr
    assert re.search(r"gcc .*-O[23] .*-c src/acme_sums/_native\.c", log), "not compiled with the interpreter's flags"
    edited = Image(image.engine, tag, project, image.base)
    unchanged = [old == new for old, new in zip(layers(image), layers(edited), strict=True)]
    assert not all(unchanged)
    sizes_of_layers = layer_sizes(edited.engine, edited.tag)
    changed_bytes = sum(size for size, same in zip(sizes_of_layers, unchanged, strict=True) if not same)
    # The engine counts whole disk blocks.
    assert changed_bytes < 500_000
    assert unchanged.index(False) >= len(unchanged) - 2  # the project, and the import that checks it


def test_source_change_compiles_only_the_changed_c_file(bake_once: Bake, build: Build, tmp_path: Any) -> None:
    image = build(bake_once(project_slug="acme-sums", strategy="venv", app="cli"))
    project = copy_project(image.project, tmp_path)
    wheel = "&& uv build --wheel --no-build-isolation --out-dir /wheels /src"
    project.edit("Dockerfile", wheel, f"&& ccache --zero-stats {wheel} && ccache --print-stats")
    # A cache of its own, because other builds would change the statistics.
    cache = "type=cache,target=/root/.cache/ccache"
    project.edit("Dockerfile", cache, f"id={time.time_ns()},{cache}")
    (project.path / "src/acme_sums/more.c").write_text("int more;\n", "utf-8")
    statistics = []
    for number in range(2):
        project.edit("src/acme_sums/_native.c", "0x82F63B78u", f"0x82F63B78u + {time.time_ns()}u - {time.time_ns()}u")
        log = image.engine.docker("build", "--progress=plain", str(project.path)).stderr
        statistics.append({name: int(count) for name, count in re.findall(r" (\w+)\t(\d+)$", log, re.M)})
        assert statistics[number]["cache_miss"] == 2 - number
    assert statistics[1]["direct_cache_hit"] == 1


def own_size(image: Image) -> int:
    """Return the size of an image above its base image, in bytes."""
    below = layer_sizes(image.engine, image.base)
    return sum(layer_sizes(image.engine, image.tag)[len(below) :])


def test_virtualenv_contains_only_dependencies_and_project(bake_once: Bake, build: Build) -> None:
    image = build(bake_once(project_slug="acme-sums", strategy="venv", app="service"))
    counted = sizes(image.engine, image.tag)
    total, rest = sum(size for size, _ in counted.values()), counted[""][0]
    assert {"fastapi", "pydantic_core", "acme-sums"} <= counted.keys()
    assert total <= 1.05 * (total - rest)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_images_of_all_strategies_have_the_same_size(bake_once: Bake, build: Build, strategy: str) -> None:
    image, venv = (
        build(bake_once(project_slug="acme-sums", strategy=name, app="service")) for name in (strategy, "venv")
    )
    assert 0.95 * own_size(venv) <= own_size(image) <= 1.05 * own_size(venv)


@pytest.mark.parametrize("app", APPS)
def test_bake_builds_equivalent_images_of_all_strategies(
    bake_once: Bake, engine: Engine, base_image: Any, app: str
) -> None:
    project = bake_once(project_slug="acme-sums", strategy="all", app=app)
    base_image(project.answers["python_version"])
    repository = f"test-{os.getpid()}-acme-sums-{app}"
    engine.docker(*BAKE, "--load", cwd=project.path, env={**engine.environment, "IMAGE": repository})
    for strategy in STRATEGIES:
        image = Image(engine, f"{repository}:{strategy}", project, "")
        assert image.run("acme-sums", "crc32c", input=DIGITS).stdout == f"{CHECKSUM}  -\n"
    engine.docker("image", "rm", *(f"{repository}:{strategy}" for strategy in STRATEGIES))


@pytest.mark.parametrize("runtime", QUESTIONS["runtime"])
def test_dockerfiles_pass_docker_build_check(bake_once: Bake, engine: Engine, base_image: Any, runtime: str) -> None:
    project = bake_once(project_slug="acme", strategy="all", runtime=runtime)
    base_image(project.answers["python_version"])
    for strategy in STRATEGIES:
        check = engine.docker("build", "--check", "--file", f"strategies/{strategy}/Dockerfile", ".", cwd=project.path)
        assert "no warnings found" in (check.stdout + check.stderr)
