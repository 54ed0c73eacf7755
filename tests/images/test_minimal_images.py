"""Images with runtime=minimal, which contain only Python, the libraries that it needs, and the program."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import time
from dataclasses import dataclass
from typing import Any

import pytest
from debian.deb822 import Packages

from tests.conftest import (
    APPS,
    CHECKSUM,
    COMMIT_TIME,
    DIGITS,
    HARDENED,
    STRATEGIES,
    Bake,
    Build,
    Image,
    Project,
    container,
    copy_project,
    wait_until,
    weekly_after,
)
from tests.images.test_images import UNCOMPILED, assert_command_works, layers
from tests.images.test_reproducible import inspect
from tests.images.test_system_libraries import EXTENSION, YAML
from tools.engine import DockerError, Engine
from tools.sizes import layer_sizes

RECORDS = "var/lib/dpkg/status.d/"


@dataclass
class File:
    """A regular file in an image."""

    mode: int
    content: bytes


# Every strategy, alternately with each app.
COMBINATIONS = [(strategy, APPS[number % len(APPS)]) for number, strategy in enumerate(STRATEGIES)]


# What all strategies have in common is tested with two of them, one for each app.
two_images = pytest.mark.parametrize("image", COMBINATIONS[: len(APPS)], indirect=True, ids="-".join)


# test_test_images.py and test_service_images.py build the other strategies with this runtime.
@pytest.fixture(scope="module", params=weekly_after(len(APPS), COMBINATIONS), ids="-".join)
def image(request: pytest.FixtureRequest, bake_once: Bake, build: Build) -> Image:
    strategy, app = request.param
    return build(bake_once(project_slug="acme-sums", strategy=strategy, app=app, runtime="minimal"))


@pytest.fixture(scope="module")
def files(image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, File]:
    """Return the regular files in an image, by path."""
    container = image.engine.docker("create", image.tag).stdout.strip()
    archive = tmp_path_factory.mktemp("exported") / "files.tar"
    image.engine.docker("export", "--output", str(archive), container)
    image.engine.docker("rm", container)
    with tarfile.open(archive) as stream:
        regular = [entry for entry in stream if entry.isfile()]
        return {entry.name: File(entry.mode, stream.extractfile(entry).read()) for entry in regular}  # type: ignore[union-attr]


def test_hardened_container_computes_the_checksum(image: Image) -> None:
    assert_command_works(image)


def test_image_contains_no_program_but_python_and_scripts(files: dict[str, File]) -> None:
    programs = {name: file for name, file in files.items() if re.search(r"(^|/)s?bin/|^usr/libexec/", name)}
    binaries = {name for name, file in programs.items() if not re.match(rb"#!\S*/python|# |\"\"\"", file.content)}
    # The virtualenv's scripts that activate it are for shells; they are not executable.
    executable = {name for name in binaries if programs[name].mode & 0o111}
    assert {re.sub(r".*/python3\.\d+$", "python", name) for name in executable} == {"python"}
    names = {name.rpartition("/")[2] for name in programs}
    assert names & {"sh", "bash", "dash", "perl", "apt-get", "dpkg", "pip", "pip3", "busybox"} == set()


def test_no_file_has_special_permissions(files: dict[str, File]) -> None:
    assert {name for name, file in files.items() if file.mode & 0o7022} == set()


def test_image_without_a_shell_cannot_start_one(image: Image) -> None:
    result = image.run("sh", check=False)
    assert result.returncode == 127
    assert re.search(r'exec: "sh": executable file not found', result.stderr)


def test_each_library_belongs_to_a_recorded_package(files: dict[str, File]) -> None:
    names = {name.removeprefix(RECORDS) for name in files if name.startswith(RECORDS)}
    packages = {name for name in names if not name.endswith(".md5sums")}
    owned: dict[str, str] = {}
    for package in packages:
        (record,) = Packages.iter_paragraphs(files[RECORDS + package].content.decode(), use_apt_pkg=False)
        assert (record["Package"], record["Status"]) == (package, "install ok installed")
        assert record["Version"]
        assert record["Architecture"]
        lines = files[f"{RECORDS}{package}.md5sums"].content.decode().splitlines()
        owned |= {path: checksum for checksum, path in (line.split(maxsplit=1) for line in lines)}
    assert {"libc6", "libgcc-s1", "libssl3t64", "tzdata"} <= packages
    # Packages of a Debian release before the merged /usr may list files in /lib.
    found = {path if path in files else f"usr/{path}": checksum for path, checksum in owned.items()}
    assert {path: hashlib.md5(files[path].content).hexdigest() for path in found} == found
    libraries = {name for name in files if re.match(r"(usr/)?lib/.*-linux-gnu/.*\.so", name)}
    assert libraries
    assert libraries - found.keys() == set()


# Use what is opened by name: time zones, certificates, services, a locale, and the library that the C library loads.
OPENED_BY_NAME = """
import ctypes, json, locale, pwd, socket, ssl, zoneinfo
from importlib.metadata import distributions
locale.setlocale(locale.LC_ALL, "C.UTF-8")
ctypes.CDLL("libgcc_s.so.1")
print(json.dumps({
    "zone": str(zoneinfo.ZoneInfo("Asia/Tokyo")),
    "certificates": len(ssl.create_default_context().get_ca_certs()) > 100,
    "port": socket.getservbyname("https"),
    "user": pwd.getpwuid(0).pw_name,
    "release": open("/etc/os-release").read().startswith("PRETTY_NAME=\\"Debian"),
    "address": socket.gethostbyname("localhost"),
    "distributions": sorted(each.name for each in distributions()),
}))
"""


def test_files_that_are_opened_by_name_are_found(image: Image) -> None:
    found = json.loads(image.run("python", "-c", OPENED_BY_NAME).stdout)
    names = found.pop("distributions")
    assert "acme-sums" in names
    assert ("fastapi" in names) == (image.project.answers["app"] == "service")
    expected = {"zone": "Asia/Tokyo", "certificates": True, "port": 443, "user": "root"}
    assert found == expected | {"release": True, "address": "127.0.0.1"}


# Bytecode without a hash is used only if it contains the date and the size of its source.
IS_CURRENT = """
def is_current(spec):
    import os
    with open(spec.cached, "rb") as stream:
        header, source = stream.read(16), os.stat(spec.origin)
    numbers = [int.from_bytes(header[start:start + 4], "little") for start in (4, 8, 12)]
    return numbers[0] != 0 or numbers[1:] == [int(source.st_mtime), source.st_size]
"""


def test_startup_compiles_no_standard_library_module(image: Image) -> None:
    modules = {"service": "acme_sums.cli, acme_sums.api, acme_sums.service.healthcheck", "cli": "acme_sums.cli"}
    code = f"import {modules[image.project.answers['app']]}{UNCOMPILED}"
    code += "print(*(s.name for s in specs if s and s.cached and exists(s.cached) and not is_current(s)))\n"
    assert image.run("python", "-", input=IS_CURRENT + code).stdout.split() == []


# Import every module of the standard library in its image; print those that fail although the slim image has them.
STANDARD_LIBRARY = """
import importlib, sys, warnings
warnings.simplefilter("ignore")
skipped = {"antigravity", "this", "idlelib", "lib2to3", "test"}
for name in sorted(sys.stdlib_module_names - skipped):
    try:
        importlib.import_module(name)
    except Exception:
        print(name)
"""
LEFT_OUT = {"_curses", "_curses_panel", "_dbm", "_gdbm", "_pydatetime", "_pydecimal", "_pyio", "_remote_debugging"}
LEFT_OUT |= {"_tkinter", "curses", "ensurepip", "pydoc_data", "readline", "tkinter", "turtle", "turtledemo"}


def test_standard_library_lacks_only_what_needs_a_terminal_or_tools(image: Image) -> None:
    slim, minimal = (
        set(image.engine.docker("run", "--rm", "--network=none", tag, "python", "-c", STANDARD_LIBRARY).stdout.split())
        for tag in (image.base, image.tag)
    )
    missing = {name for name in minimal - slim if not name.startswith(("_test", "_xxtest", "xx"))}
    assert missing <= LEFT_OUT


def test_image_is_less_than_half_as_large(image: Image, bake_once: Bake, build: Build) -> None:
    answers = {**image.project.answers, "runtime": "slim"}
    slim = build(bake_once(**{name: answers[name] for name in ("project_slug", "strategy", "app", "runtime")}))
    size, slim_size = (sum(layer_sizes(each.engine, each.tag)) for each in (image, slim))
    assert size < 0.5 * slim_size


def test_source_change_affects_only_the_project_layer(image: Image, tmp_path: Any) -> None:
    project = copy_project(image.project, tmp_path)
    project.edit("src/acme_sums/cli.py", "1 << 20", f"1 << 19  # {time.time_ns()}")
    tag = f"{image.tag}-edited"
    image.engine.docker("build", "--tag", tag, str(project.path))
    edited = Image(image.engine, tag, project, image.base)
    unchanged = [old == new for old, new in zip(layers(image), layers(edited), strict=True)]
    # Python, the dependencies, the project, and the import that checks it
    assert unchanged in ([True, True, False, True], [True, True, False, False])


def test_rebuilt_image_has_the_same_digest(image: Image) -> None:
    stages = "slim-image,minimal-base,project-image,runtime-image"
    options = ("--provenance=false", f"--build-arg=SOURCE_DATE_EPOCH={COMMIT_TIME}")
    ids = []
    for name, more in (("first", ()), ("second", (f"--no-cache-filter={stages}",))):
        tag = f"{image.tag}-{name}"
        image.engine.docker("build", *options, *more, "--tag", tag, str(image.project.path))
        ids.append(inspect(image.engine, tag, "{{.Id}}"))
    assert ids[0] == ids[1]


@two_images
def test_debug_image_adds_a_shell(image: Image) -> None:
    tag = f"{image.tag}-debug"
    image.engine.docker("build", "--target=debug-image", "--tag", tag, str(image.project.path))
    run = ("run", "--rm", "--interactive", "--network=none", tag, "sh", "-c", "acme-sums crc32c")
    assert image.engine.docker(*run, input=DIGITS).stdout == f"{CHECKSUM}  -\n"


@two_images
def test_other_base_image_without_a_shell_works(image: Image) -> None:
    base, tag = f"{image.tag}-hardened", f"{image.tag}-own"
    image.engine.docker("build", "--target=minimal-base", "--tag", f"{base}-base", str(image.project.path))
    image.engine.docker("build", "--tag", base, "-", input=f"FROM {base}-base\nENV OTHER_BASE=1\n")
    image.engine.docker("build", f"--build-arg=RUNTIME_BASE={base}", "--tag", tag, str(image.project.path))
    own = Image(image.engine, tag, image.project, base)
    assert own.run("acme-sums", "crc32c", input=DIGITS).stdout == f"{CHECKSUM}  -\n"
    assert "OTHER_BASE=1" in own.config()["Env"]
    assert layers(own)[:1] == layers(Image(image.engine, base, image.project, base))


@pytest.fixture
def project(base_image: Any, bake_once: Bake, tmp_path: Any) -> Project:
    """Return a copy of a project that can be edited, and whose base image exists."""
    project = copy_project(bake_once(project_slug="acme-sums", app="cli", runtime="minimal"), tmp_path)
    base_image(project.answers["python_version"])
    return project


def test_library_opened_by_name_needs_one_line(engine: Engine, project: Project) -> None:
    load = 'import ctypes\n\nctypes.CDLL("libyaml-0.so.2")\n'
    project.edit("src/acme_sums/__init__.py", "from ._native import", f"{load}from ._native import")
    with pytest.raises(DockerError, match=r"libyaml-0\.so\.2: cannot open shared object file"):
        engine.docker("build", str(project.path))
    line = "RUN echo libyaml-0-2 >>/packages\n"
    project.edit("Dockerfile", "# Without an instruction like this", f"{line}\n# Without an instruction like this")
    engine.docker("build", str(project.path))


def test_packages_that_a_package_depends_on_are_copied(project: Project, build: Build) -> None:
    line = "RUN echo libmagic1t64 >>/packages\n"
    project.edit("Dockerfile", "# Without an instruction like this", f"{line}\n# Without an instruction like this")
    code = f"import os; print(*map(os.path.exists, ['/usr/lib/file/magic.mgc', '/{RECORDS}libmagic-mgc']))"
    assert build(project).run("python", "-c", code).stdout == "True True\n"


def test_base_image_with_dependency_user_and_entry_point_works(bake_once: Bake, build: Build) -> None:
    image = build(bake_once(project_slug="acme-sums", strategy="wheels", app="service", runtime="minimal"))
    base, tag = f"{image.tag}-base", f"{image.tag}-preinstalled"
    (idna,) = re.findall(r"^idna==\S+", image.project.read("requirements.txt"), re.MULTILINE)
    lines = (f"FROM {image.base}", f"RUN pip install {idna}", "USER 1001", 'ENTRYPOINT ["python3"]')
    image.engine.docker("build", "--tag", base, "-", input="\n".join(lines))
    image.engine.docker("build", f"--build-arg=BASE={base}", "--tag", tag, str(image.project.path))
    with container(image.engine, tag, *HARDENED) as name:
        probe = ("exec", name, "python", "-P", "-m", "acme_sums.service.healthcheck")
        wait_until(lambda: image.engine.docker(*probe, check=False).returncode == 0)
    assert Image(image.engine, tag, image.project, base).run("python", "-c", "import idna").returncode == 0


def test_linked_library_is_copied_or_fails_the_build(engine: Engine, project: Project) -> None:
    (project.path / "src/yaml.c").write_text(YAML, "utf-8")
    project.edit("setup.py", "ext_modules=[native]", f"ext_modules=[native, {EXTENSION}]")
    project.edit("Dockerfile", "gcc libc6-dev", "gcc libc6-dev libyaml-dev")
    engine.docker("build", str(project.path))
    remove = "RUN dpkg --purge --force-depends libyaml-0-2\n"
    project.edit("Dockerfile", "# Copy Python,", f"{remove}\n# Copy Python,")
    with pytest.raises(DockerError, match=r"The Debian package libyaml-0-2 is not installed\."):
        engine.docker("build", str(project.path))


def test_broken_interpreter_fails_the_build(engine: Engine, project: Project) -> None:
    remove = "RUN rm $(ldconfig -p | grep -o '/.*libffi.so.*')\n"
    project.edit("Dockerfile", "# Copy Python,", f"{remove}\n# Copy Python,")
    with pytest.raises(DockerError, match=r"ImportError: libffi\.so\.\d+: cannot open shared object file"):
        engine.docker("build", str(project.path))
