"""Failures during generation, especially over an existing project: user files are never lost."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from tests.command import (
    COMMAND,
    SLUG,
    WITHOUT_QUESTIONS,
    clean_environment,
    cookiecutter,
    copy_template,
    create_repository,
    read_files,
    snapshot,
)
from tests.conftest import TEMPLATE, TOOLS, Bake, Project, commit_project, copy_project
from tools.engine import EngineUnavailable
from tools.engine.fixtures import skip_or_fail

Content = TypeVar("Content")
PROJECT = "{{cookiecutter.project_slug}}"
PACKAGE = "{{cookiecutter.package_name}}"
EDITED = {
    "README.md": b"# Edited, and not committed\n",
    "LICENSE": b"Edited\n",
    "Dockerfile": b"FROM edited\n",
    "src/checksum_service/cli.py": b"edited = True\n",
    ".github/workflows/ci.yml": b"name: edited\n",
}
OWN = {
    "notes.txt": b"mine",
    "src/checksum_service/extra.c": b"int extra;\n",
    "src/checksum_service/_native.cpython-314-x86_64-linux-gnu.so": bytes(range(256)),
    "build/lib/module.o": b"\x00\x7fELF",
    ".github/workflows/mine.yml": b"name: mine\n",
    "deploy/kubernetes/overlays/staging/kustomization.yaml": b"resources: []\n",
    "strategies/mine/Dockerfile": b"FROM mine\n",
    "bundle/mine.txt": b"mine",
    "variants/strategy/venv/Dockerfile": b"FROM mine\n",
    "tests/data/empty": b"",
    ".venv/pyvenv.cfg": b"home = /usr/bin\n",
}


def write(directory: Path, contents: dict[str, bytes]) -> None:
    """Write files, and create their parent directories."""
    for name, content in contents.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture(scope="session")
def project_in_use(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project that was generated, committed, edited and built; tests use copies of it."""
    project = commit_project(bake_once(), tmp_path_factory.mktemp("in-use"))
    write(project.path, {**EDITED, **OWN})
    (project.path / ".venv/bin").mkdir()
    (project.path / ".venv/bin/python").symlink_to("/usr/bin/python3")
    (project.path / "notes.txt").chmod(0o600)
    return project


def generate(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Generate a project in a directory without prompts."""
    return cookiecutter(directory, *WITHOUT_QUESTIONS, TEMPLATE, *arguments)


def select(contents: Mapping[str, Content], names: Iterable[str]) -> dict[str, Content | None]:
    """Select the given paths; a missing path causes the comparison to fail."""
    return {name: contents.get(name) for name in names}


def listed_files(result: subprocess.CompletedProcess[str], project: Path) -> list[str]:
    """Return the project's files that are listed in the output, one per line."""
    return [line.strip() for line in result.stdout.splitlines() if (project / line.strip()).is_file()]


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    """Return the directory in which the command runs; its home directory is next to it."""
    directory = tmp_path / "work"
    directory.mkdir()
    return directory


@pytest.mark.parametrize("strategy", ["venv", "all"])
def test_overwriting_replaces_only_template_files_and_lists_leftovers(
    project_in_use: Project, work_dir: Path, bake_once: Bake, strategy: str
) -> None:
    project = copy_project(project_in_use, work_dir).path
    before, fresh = snapshot(project), read_files(bake_once(strategy=strategy).path)
    result = generate(work_dir, "-f", f"strategy={strategy}")
    assert result.returncode == 0, result.stdout
    after = snapshot(project)
    assert select(read_files(project), fresh) == fresh
    assert select(after, before.keys() - fresh) == select(before, before.keys() - fresh)
    assert listed_files(result, project) == (["Dockerfile"] if strategy == "all" else [])
    assert ("These files belong to answers that you did not choose." in result.stdout) == (strategy == "all")
    # git restores committed files.
    subprocess.run(["git", "checkout", "--quiet", "."], cwd=project, check=True)
    first = read_files(project_in_use.path)
    unedited = {name for name in first.keys() - EDITED if not name.startswith(".git/")}
    assert select(read_files(project), unedited) == select(first, unedited)


@pytest.mark.parametrize("strategy", ["venv", "all"])
def test_skip_if_file_exists_adds_only_missing_files(
    project_in_use: Project, work_dir: Path, bake_once: Bake, strategy: str
) -> None:
    project = copy_project(project_in_use, work_dir).path
    (project / "setup.py").unlink()
    before, fresh = snapshot(project), read_files(bake_once(strategy=strategy).path)
    result = generate(work_dir, "-f", "-s", f"strategy={strategy}")
    assert result.returncode == 0, result.stdout
    after = snapshot(project)
    assert select(after, before) == before
    assert select(read_files(project), fresh.keys() - before) == select(fresh, fresh.keys() - before)
    assert "setup.py" in after
    assert not any(name.startswith("_variants") for name in after)


def test_files_of_previous_strategy_are_listed_and_kept(work_dir: Path) -> None:
    assert generate(work_dir, "app=cli", "strategy=platter", "ci=gitlab").returncode == 0
    result = generate(work_dir, "-f", "app=cli", "strategy=pex", "ci=none")
    assert result.returncode == 0, result.stdout
    leftovers = [".gitlab-ci.yml", ".gitlab/publish.yml", "bundle/install.sh", "renovate.json"]
    assert listed_files(result, work_dir / SLUG) == [*leftovers, "requirements/platter.txt", "requirements/publish.txt"]


def existing_variants_directory(project: Path) -> str:
    write(project, {"_variants/mine.txt": b"mine"})
    return "_variants already exists"


def symlink_to_outside_directory(project: Path) -> str:
    (project / "src").rename(project.parent.parent / "elsewhere")
    (project / "src").symlink_to(project.parent.parent / "elsewhere")
    return "leads outside the project. Remove the symbolic link."


def symlink_to_outside_file(project: Path) -> str:
    (project / "Makefile").rename(project.parent.parent / "elsewhere.mk")
    (project / "Makefile").symlink_to("../../elsewhere.mk")
    return "Makefile leads outside the project. Remove the symbolic link."


def symlink_of_moved_file(project: Path) -> str:
    (project / "deploy").rename(project.parent.parent / "elsewhere")
    (project / "deploy").symlink_to(project.parent.parent / "elsewhere")
    return "leads outside the project. Remove the symbolic link."


@pytest.mark.parametrize(
    "fault",
    [existing_variants_directory, symlink_to_outside_directory, symlink_to_outside_file, symlink_of_moved_file],
)
def test_conflicting_path_is_reported_before_any_change(
    project_in_use: Project, work_dir: Path, fault: Callable[[Path], str]
) -> None:
    reason = fault(copy_project(project_in_use, work_dir).path)
    before = snapshot(work_dir.parent)
    result = generate(work_dir, "-f")
    assert result.returncode == 1
    sentence, end, _ = result.stdout.split("\n")
    assert reason in sentence
    assert end == "Hook script failed (exit status: 1)"
    after = snapshot(work_dir.parent)
    assert select(after, {name for name in after if not name.startswith("home")}) == before


def test_existing_variants_directory_stops_cruft(project_in_use: Project, work_dir: Path, tmp_path: Path) -> None:
    project = copy_project(project_in_use, work_dir).path
    write(project, {"_variants/mine.txt": b"mine"})
    before = snapshot(project)
    cruft = (TOOLS / "cruft", "create", "--no-input", "--default-config", "--overwrite-if-exists")
    result = cookiecutter(work_dir, f"file://{create_repository(tmp_path)}", command=cruft)
    assert result.returncode == 1
    assert f"{project}/_variants already exists" in result.stdout
    assert snapshot(project) == before


def test_symlinks_inside_project_are_allowed(project_in_use: Project, work_dir: Path) -> None:
    project = copy_project(project_in_use, work_dir).path
    (project / "src").rename(project / "lib")
    (project / "src").symlink_to("lib")
    # The path to the project may also contain a symbolic link.
    (work_dir.parent / "link").symlink_to(work_dir)
    assert generate(work_dir, "-f", "--output-dir", "../link").returncode == 0
    assert (project / "src").is_symlink()
    assert (project / "lib/checksum_service/extra.c").read_bytes() == OWN["src/checksum_service/extra.c"]


def test_existing_directory_is_rejected_without_overwrite_option(work_dir: Path) -> None:
    write(work_dir, {f"{SLUG}/README.md": b"mine"})
    result = generate(work_dir)
    assert result.returncode == 1
    assert result.stdout == f'Error: "{SLUG}" directory already exists\n'
    assert read_files(work_dir) == {f"{SLUG}/README.md": b"mine"}


def mount(directory: Path, *arguments: str) -> None:
    """Mount a file system, or skip the test if the user is not root."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    result = subprocess.run(["mount", *arguments, str(directory)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        skip_or_fail(EngineUnavailable(f"The file system could not be mounted: {result.stderr.strip()}"))


@contextmanager
def small_disk(directory: Path, size: int) -> Iterator[Path]:
    """Mount an in-memory file system of the given size."""
    directory.mkdir(exist_ok=True)
    mount(directory, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


def fill(disk: Path) -> None:
    """Fill a file system completely."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


@dataclass
class PausedGeneration:
    """A paused generation: cookiecutter blocks on a template file that is a named pipe."""

    process: subprocess.Popen[str]
    pipe: Path
    writer: int

    def resume(self) -> None:
        """Replace the pipe with an empty file, and let cookiecutter continue."""
        self.pipe.unlink()
        self.pipe.touch()
        os.close(self.writer)

    def interrupt(self) -> None:
        """Send SIGINT to every process of the command, like Ctrl-C."""
        # Python would not handle a signal that arrives between opening the pipe and reading from it.
        time.sleep(0.5)
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> str:
        """Wait until the command exits, and return its output."""
        return self.process.communicate(timeout=60)[0]


def open_pipe(pipe: Path, process: subprocess.Popen[str]) -> int:
    """Open a pipe for writing as soon as the process reads it."""
    while process.poll() is None:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(0.01)
    raise AssertionError(process.communicate()[0])


@contextmanager
def paused_generation(directory: Path, pipe: Path, template: Path) -> Iterator[PausedGeneration]:
    """Start a generation with -f, and wait until it blocks on the pipe."""
    os.mkfifo(pipe)
    command = [*COMMAND, *WITHOUT_QUESTIONS, "-f", str(template)]
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=clean_environment(directory.parent / "home"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield PausedGeneration(process, pipe, open_pipe(pipe, process))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


IN_THE_MIDDLE = Path(PROJECT, "src", PACKAGE, "_middle.pyi")
AT_THE_END = Path(PROJECT, "tests", "zz")


def interrupt_generation(work_dir: Path, tmp_path: Path) -> None:
    """Interrupt a generation before its second hook starts, and check that it stops without a traceback."""
    template = copy_template(tmp_path)
    with paused_generation(work_dir, template / IN_THE_MIDDLE, template) as generation:
        generation.interrupt()
        printed = generation.end()
        assert generation.process.returncode == 1
    assert "Traceback" not in printed


def test_ctrl_c_leaves_only_the_new_project(work_dir: Path, tmp_path: Path) -> None:
    interrupt_generation(work_dir, tmp_path)
    assert [path.name for path in work_dir.iterdir()] == [SLUG]
    shutil.rmtree(work_dir / SLUG)
    assert generate(work_dir).returncode == 0


def test_ctrl_c_while_overwriting_keeps_user_files(
    project_in_use: Project, work_dir: Path, bake_once: Bake, tmp_path: Path
) -> None:
    fresh = read_files(bake_once().path)
    project = copy_project(project_in_use, work_dir).path
    before = snapshot(project)
    interrupt_generation(work_dir, tmp_path)
    after = snapshot(project)
    assert select(after, before.keys() - fresh) == select(before, before.keys() - fresh)
    # The hook had not started, so the files that it moves were not changed.
    assert after["Dockerfile"][1] == EDITED["Dockerfile"]
    assert after["README.md"][1] == fresh["README.md"]
    second = generate(work_dir, "-f")
    assert "_variants already exists" in second.stdout
    assert "delete it if an interrupted generation left it behind" in second.stdout
    shutil.rmtree(project / "_variants")
    assert generate(work_dir, "-f").returncode == 0
    assert select(read_files(project), fresh) == fresh


def test_ctrl_c_during_post_gen_hook_completes_the_project(work_dir: Path, bake_once: Bake, tmp_path: Path) -> None:
    template, pipe = copy_template(tmp_path), tmp_path / "pipe"
    hook = template / "hooks/post_gen_project.py"
    text = hook.read_text("utf-8")
    moves = "    for target, path in files.items():\n"
    assert text.count(moves) == 1
    hook.write_text(text.replace(moves, f"    Path({str(pipe)!r}).read_text()\n{moves}"), "utf-8")
    with paused_generation(work_dir, pipe, template) as generation:
        generation.interrupt()
        os.close(generation.writer)
        printed = generation.end()
    assert "Traceback" not in printed
    assert read_files(work_dir / SLUG) == read_files(bake_once().path)


def test_full_disk_during_generation_damages_only_template_files(
    project_in_use: Project, work_dir: Path, bake_once: Bake, tmp_path: Path
) -> None:
    template, fresh = copy_template(tmp_path), read_files(bake_once().path)
    with small_disk(work_dir, 6_000_000):
        project = copy_project(project_in_use, work_dir).path
        before = snapshot(project)
        with paused_generation(work_dir, template / IN_THE_MIDDLE, template) as generation:
            # The next file that cookiecutter writes is longer than the one it replaces.
            write(project, {"src/checksum_service/_native.c": b""})
            fill(work_dir)
            generation.resume()
            printed = generation.end()
            assert generation.process.returncode != 0
        assert "No space left on device" in printed
        after = snapshot(project)
        assert select(after, before.keys() - fresh) == select(before, before.keys() - fresh)
        for name in fresh.keys() & before.keys():
            assert after[name] == before[name] or fresh[name].startswith(after[name][1]), name


@pytest.mark.parametrize("over", [False, True], ids=["new", "over a project"])
def test_failed_post_gen_hook_keeps_user_files(
    project_in_use: Project, work_dir: Path, bake_once: Bake, tmp_path: Path, *, over: bool
) -> None:
    template, fresh = copy_template(tmp_path), read_files(bake_once().path)
    project = copy_project(project_in_use, work_dir).path if over else work_dir / SLUG
    before = snapshot(project) if over else {}
    with paused_generation(work_dir, template / AT_THE_END, template) as generation:
        # After all checks, create a directory where the hook will write a file.
        (project / "deploy/compose.yaml").unlink(missing_ok=True)
        write(project, {"deploy/compose.yaml/mine.txt": b"mine"})
        generation.resume()
        printed = generation.end()
        assert generation.process.returncode == 1
    message = "deploy/compose.yaml'. Some files were not moved into place; generate the project again."
    assert any(line.endswith(message) for line in printed.splitlines())
    assert "Traceback" not in printed
    if not over:
        assert list(work_dir.iterdir()) == []
        return
    after = snapshot(project)
    assert select(after, before.keys() - fresh) == select(before, before.keys() - fresh)
    assert after["deploy/compose.yaml/mine.txt"][1] == b"mine"
    assert not any(name.startswith("_variants") for name in after)


@pytest.mark.attack
def test_simultaneous_generation_in_one_project_is_rejected(
    project_in_use: Project, work_dir: Path, bake_once: Bake, tmp_path: Path
) -> None:
    template, fresh = copy_template(tmp_path), read_files(bake_once().path)
    project = copy_project(project_in_use, work_dir).path
    with paused_generation(work_dir, template / IN_THE_MIDDLE, template) as generation:
        second = generate(work_dir, "-f")
        generation.resume()
        printed = generation.end()
        assert generation.process.returncode == 0, printed
    assert second.returncode == 1
    assert second.stdout.startswith(f"{project}/_variants already exists. Rename it, or delete it")
    assert "Traceback" not in second.stdout
    assert select(read_files(project), fresh) == fresh
