"""What goes wrong while a project is generated, over another one above all: nothing of the user's is lost."""

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

import local_extensions
from tests.command import (
    COMMAND,
    SLUG,
    WITHOUT_QUESTIONS,
    cookiecutter,
    copied_template,
    files,
    repository,
    snapshot,
    surroundings,
)
from tests.conftest import TEMPLATE, TOOLS, Bake, Project, committed
from tests.engine import EngineUnavailable
from tests.engine.fixtures import skip_or_fail

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


def write(folder: Path, contents: dict[str, bytes]) -> None:
    """Write files by path, with the folders they need."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture(scope="session")
def project_in_use(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project that was generated, committed, edited and built; tests take a copy of it."""
    project = committed(bake_once(), tmp_path_factory.mktemp("in-use"))
    write(project.path, {**EDITED, **OWN})
    (project.path / ".venv/bin").mkdir()
    (project.path / ".venv/bin/python").symlink_to("/usr/bin/python3")
    (project.path / "notes.txt").chmod(0o600)
    return project


def used(project: Project, folder: Path) -> Path:
    """Copy the project in use, links and modes as they are."""
    return shutil.copytree(project.path, folder / SLUG, symlinks=True)


def generate(folder: Path, *arguments: str, template: Path = TEMPLATE) -> subprocess.CompletedProcess[str]:
    """Generate in a folder without asking."""
    return cookiecutter(folder, *WITHOUT_QUESTIONS, template, *arguments)


def only(contents: Mapping[str, Content], names: Iterable[str]) -> dict[str, Content | None]:
    """Pick some paths out of many; one that is missing shows."""
    return {name: contents.get(name) for name in names}


def named(result: subprocess.CompletedProcess[str], project: Path) -> list[str]:
    """Return the files of a project that have a line of their own in what was printed."""
    return [line.strip() for line in result.stdout.splitlines() if (project / line.strip()).is_file()]


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """Return the folder in which the command runs; its home and its neighbours are beside it."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("strategy", ["venv", "all"])
def test_overwriting_replaces_the_template_s_files_alone_and_names_what_is_left(
    project_in_use: Project, workplace: Path, bake_once: Bake, strategy: str
) -> None:
    project = used(project_in_use, workplace)
    before, fresh = snapshot(project), files(bake_once(strategy=strategy).path)
    result = generate(workplace, "-f", f"strategy={strategy}")
    assert result.returncode == 0, result.stdout
    after = snapshot(project)
    assert only(files(project), fresh) == fresh
    assert only(after, before.keys() - fresh) == only(before, before.keys() - fresh)
    assert named(result, project) == (["Dockerfile"] if strategy == "all" else [])
    assert ("These files belong to answers that you did not choose." in result.stdout) == (strategy == "all")
    # What was committed comes back with git.
    subprocess.run(["git", "checkout", "--quiet", "."], cwd=project, check=True)
    first = files(project_in_use.path)
    kept = {name for name in first.keys() - EDITED if not name.startswith(".git/")}
    assert only(files(project), kept) == only(first, kept)


@pytest.mark.parametrize("strategy", ["venv", "all"])
def test_skipping_files_that_exist_changes_none_of_them_and_adds_the_others(
    project_in_use: Project, workplace: Path, bake_once: Bake, strategy: str
) -> None:
    project = used(project_in_use, workplace)
    (project / "setup.py").unlink()
    before, fresh = snapshot(project), files(bake_once(strategy=strategy).path)
    result = generate(workplace, "-f", "-s", f"strategy={strategy}")
    assert result.returncode == 0, result.stdout
    after = snapshot(project)
    assert only(after, before) == before
    assert only(files(project), fresh.keys() - before) == only(fresh, fresh.keys() - before)
    assert "setup.py" in after
    assert not any(name.startswith("_variants") for name in after)


def test_what_another_strategy_brought_is_named_and_stays(workplace: Path) -> None:
    assert generate(workplace, "strategy=platter", "ci=gitlab").returncode == 0
    result = generate(workplace, "-f", "strategy=pex", "ci=none")
    assert result.returncode == 0, result.stdout
    left = [".gitlab-ci.yml", ".gitlab/publish.yml", "bundle/install.sh", "renovate.json"]
    assert named(result, workplace / SLUG) == [*left, "requirements/platter.txt"]


def a_variants_folder(project: Path) -> str:
    write(project, {"_variants/mine.txt": b"mine"})
    return "_variants already exists"


def a_folder_for_a_file(project: Path) -> str:
    (project / "setup.py").unlink()
    write(project, {"setup.py/mine.py": b"mine"})
    return "setup.py exists but is not a regular file"


def a_file_for_a_folder(project: Path) -> str:
    shutil.rmtree(project / "deploy")
    write(project, {"deploy": b"mine"})
    return "deploy exists but is not a directory"


def a_folder_linked_from_elsewhere(project: Path) -> str:
    (project / "src").rename(project.parent.parent / "elsewhere")
    (project / "src").symlink_to(project.parent.parent / "elsewhere")
    return "leads outside the project, to"


def a_file_linked_from_elsewhere(project: Path) -> str:
    (project / "Makefile").rename(project.parent.parent / "elsewhere.mk")
    (project / "Makefile").symlink_to("../../elsewhere.mk")
    return "Makefile leads outside the project, to"


def a_link_to_nowhere(project: Path) -> str:
    (project / "setup.py").unlink()
    (project / "setup.py").symlink_to("setup.old")
    return "setup.py exists but is not a regular file"


@pytest.mark.parametrize(
    "fault",
    [
        a_variants_folder,
        a_folder_for_a_file,
        a_file_for_a_folder,
        a_folder_linked_from_elsewhere,
        a_file_linked_from_elsewhere,
        a_link_to_nowhere,
    ],
)
def test_what_is_in_the_way_is_told_in_one_line_before_anything_is_touched(
    project_in_use: Project, workplace: Path, fault: Callable[[Path], str]
) -> None:
    reason = fault(used(project_in_use, workplace))
    before = snapshot(workplace.parent)
    result = generate(workplace, "-f")
    assert result.returncode == 1
    assert reason in result.stdout
    assert result.stdout.endswith(" Nothing was changed.\n")
    assert result.stdout.count("\n") == 1
    after = snapshot(workplace.parent)
    assert only(after, {name for name in after if not name.startswith("home")}) == before


def test_a_caller_that_does_not_tell_the_target_is_stopped_by_the_first_hook(
    project_in_use: Project, workplace: Path, tmp_path: Path
) -> None:
    project = used(project_in_use, workplace)
    write(project, {"_variants/mine.txt": b"mine"})
    before = snapshot(project)
    cruft = (TOOLS / "cruft", "create", "--no-input", "--default-config", "--overwrite-if-exists")
    result = cookiecutter(workplace, f"file://{repository(tmp_path)}", command=cruft)
    assert result.returncode == 1
    assert f"{project}/_variants already exists" in result.stdout
    assert " Nothing was changed.\n" in result.stdout
    assert snapshot(project) == before


def test_links_within_the_project_are_no_hindrance(project_in_use: Project, workplace: Path) -> None:
    project = used(project_in_use, workplace)
    (project / "src").rename(project / "lib")
    (project / "src").symlink_to("lib")
    # The way to the project may be a link as well.
    (workplace.parent / "link").symlink_to(workplace)
    assert generate(workplace, "-f", "--output-dir", "../link").returncode == 0
    assert (project / "src").is_symlink()
    assert (project / "lib/checksum_service/extra.c").read_bytes() == OWN["src/checksum_service/extra.c"]


def test_an_existing_folder_is_refused_without_the_option_that_overwrites(workplace: Path) -> None:
    write(workplace, {f"{SLUG}/README.md": b"mine"})
    result = generate(workplace)
    assert result.returncode == 1
    assert result.stdout == f'Error: "{SLUG}" directory already exists\n'
    assert files(workplace) == {f"{SLUG}/README.md": b"mine"}


def test_a_mistake_in_the_template_is_told_before_anything_is_touched(
    project_in_use: Project, workplace: Path, tmp_path: Path
) -> None:
    template = copied_template(tmp_path)
    write(template / PROJECT, {"_variants/ci/github/README.md": b"clash"})
    project = used(project_in_use, workplace)
    before = snapshot(project)
    result = generate(workplace, "-f", template=template)
    assert result.returncode == 1
    assert result.stdout.startswith("The template is invalid: ")
    assert "already generates: 'README.md'" in result.stdout
    assert result.stdout.count("\n") == 1
    assert snapshot(project) == before


def mount(folder: Path, *arguments: str) -> None:
    """Mount something, as root only."""
    finished = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        skip_or_fail(EngineUnavailable(f"Only root can mount: {finished.stderr.strip()}"))


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a disk in memory that holds some bytes."""
    folder.mkdir(exist_ok=True)
    mount(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(disk: Path) -> None:
    """Write until nothing more can be written."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


@pytest.mark.parametrize("over", [False, True], ids=["new", "over a project"])
def test_a_disk_without_room_is_told_before_anything_is_touched(
    project_in_use: Project, workplace: Path, *, over: bool
) -> None:
    with small_disk(workplace, 4_000_000 if over else 64_000):
        if over:
            used(project_in_use, workplace)
            fill(workplace)
        before = snapshot(workplace)
        result = generate(workplace, "-f")
        assert result.returncode == 1
        assert f"{SLUG} needs " in result.stdout
        assert " kB are available. Nothing was changed.\n" in result.stdout
        assert result.stdout.count("\n") == 1
        assert snapshot(workplace) == before


def test_the_room_that_is_asked_for_suffices(workplace: Path, bake_once: Bake) -> None:
    fresh = files(bake_once(strategy="all").path)
    with small_disk(workplace, local_extensions.required_disk_space()):
        result = generate(workplace, "strategy=all")
        assert result.returncode == 0, result.stdout
        assert files(workplace / SLUG) == fresh


@pytest.mark.parametrize("over", [False, True], ids=["new", "over a project"])
def test_a_read_only_target_is_told_in_one_line(project_in_use: Project, workplace: Path, *, over: bool) -> None:
    with small_disk(workplace, 4_000_000):
        if over:
            used(project_in_use, workplace)
        before = snapshot(workplace)
        mount(workplace, "-o", "remount,ro")
        result = generate(workplace, "-f")
        assert result.returncode == 1
        assert " is not writable, so " in result.stdout
        assert result.stdout.count("\n") == 1
        assert snapshot(workplace) == before


def test_one_file_that_cannot_be_written_stops_before_anything_is_touched(
    project_in_use: Project, workplace: Path
) -> None:
    project = used(project_in_use, workplace)
    before = snapshot(project)
    if os.geteuid() == 0:
        # The last file that cookiecutter would come to; root minds no mode, but a mount.
        protected = project / "tests/test_native.py"
        mount(protected, "--bind", str(protected))
        mount(protected, "-o", "remount,bind,ro")
        try:
            result = generate(workplace, "-f")
        finally:
            subprocess.run(["umount", protected], check=True)
    else:
        (project / "tests/test_native.py").chmod(0o444)
        result = generate(workplace, "-f")
        (project / "tests/test_native.py").chmod(before["tests/test_native.py"][0])
    assert result.returncode == 1
    assert "tests/test_native.py is not writable" in result.stdout
    assert result.stdout.count("\n") == 1
    assert snapshot(project) == before


@dataclass
class Paused:
    """A generation that stands still: cookiecutter reads a file of its template that is a pipe."""

    process: subprocess.Popen[str]
    pipe: Path
    writer: int

    def resume(self) -> None:
        """Put an empty file where the pipe is, and let cookiecutter go on with it."""
        self.pipe.unlink()
        self.pipe.touch()
        os.close(self.writer)

    def interrupt(self) -> None:
        """Press Ctrl-C: the signal reaches every process of the command."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> str:
        """Wait for the end and return what was printed."""
        return self.process.communicate(timeout=60)[0]


def opened(pipe: Path, process: subprocess.Popen[str]) -> int:
    """Open a pipe for writing as soon as a process reads it."""
    while process.poll() is None:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(0.01)
    raise AssertionError(process.communicate()[0])


@contextmanager
def paused(folder: Path, pipe: Path, template: Path) -> Iterator[Paused]:
    """Start a generation with -f, and wait until it stands still at a pipe."""
    os.mkfifo(pipe)
    command = [*COMMAND, *WITHOUT_QUESTIONS, "-f", str(template)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=surroundings(folder.parent / "home"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield Paused(process, pipe, opened(pipe, process))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


IN_THE_MIDDLE = Path(PROJECT, "src", PACKAGE, "_middle.pyi")
AT_THE_END = Path(PROJECT, "tests", "zz")


def test_ctrl_c_in_a_new_project_says_what_to_remove(workplace: Path, tmp_path: Path) -> None:
    template = copied_template(tmp_path)
    with paused(workplace, template / IN_THE_MIDDLE, template) as generation:
        generation.interrupt()
        printed = generation.end()
        assert generation.process.returncode == 1
    assert "Traceback" not in printed
    told = f"Generation was interrupted. {workplace / SLUG} is incomplete. Delete it before"
    assert printed.strip().splitlines()[-1].startswith(told)
    assert [path.name for path in workplace.iterdir()] == [SLUG]
    shutil.rmtree(workplace / SLUG)
    assert generate(workplace).returncode == 0


def test_ctrl_c_over_a_project_keeps_the_user_s_files_and_can_be_made_good(
    project_in_use: Project, workplace: Path, bake_once: Bake, tmp_path: Path
) -> None:
    template, fresh = copied_template(tmp_path), files(bake_once().path)
    project = used(project_in_use, workplace)
    before = snapshot(project)
    with paused(workplace, template / IN_THE_MIDDLE, template) as generation:
        generation.interrupt()
        printed = generation.end()
        assert generation.process.returncode == 1
    assert "Traceback" not in printed
    told = printed.strip().splitlines()[-1]
    assert told.startswith(f"Generation was interrupted. Files in {project} that the template generates may")
    assert told.endswith("Delete _variants/ before you generate again.")
    after = snapshot(project)
    assert only(after, before.keys() - fresh) == only(before, before.keys() - fresh)
    # The hook had not begun: what it lays over the project was not touched.
    assert after["Dockerfile"][1] == EDITED["Dockerfile"]
    assert after["README.md"][1] == fresh["README.md"]
    refusal = generate(workplace, "-f")
    assert "_variants already exists" in refusal.stdout
    assert "delete it if an interrupted generation left it behind" in refusal.stdout
    shutil.rmtree(project / "_variants")
    assert generate(workplace, "-f").returncode == 0
    assert only(files(project), fresh) == fresh


def test_ctrl_c_while_the_hook_moves_files_leaves_a_whole_project(
    workplace: Path, bake_once: Bake, tmp_path: Path
) -> None:
    template, pipe = copied_template(tmp_path), tmp_path / "pipe"
    hook = template / "hooks/post_gen_project.py"
    text = hook.read_text("utf-8")
    moves = "        move(project, plan)\n"
    assert text.count(moves) == 1
    hook.write_text(text.replace(moves, f"        Path({str(pipe)!r}).read_text()\n{moves}"), "utf-8")
    with paused(workplace, pipe, template) as generation:
        generation.interrupt()
        os.close(generation.writer)
        printed = generation.end()
    assert "Traceback" not in printed
    assert files(workplace / SLUG) == files(bake_once().path)


def test_a_disk_that_fills_while_files_are_written_costs_the_template_s_files_alone(
    project_in_use: Project, workplace: Path, bake_once: Bake, tmp_path: Path
) -> None:
    template, fresh = copied_template(tmp_path), files(bake_once().path)
    with small_disk(workplace, 6_000_000):
        project = used(project_in_use, workplace)
        before = snapshot(project)
        with paused(workplace, template / IN_THE_MIDDLE, template) as generation:
            # What cookiecutter writes next is longer than what it replaces.
            write(project, {"src/checksum_service/_native.c": b""})
            fill(workplace)
            generation.resume()
            printed = generation.end()
            assert generation.process.returncode != 0
        assert "No space left on device" in printed
        assert printed.strip().splitlines()[-1].startswith("Generation was interrupted. Files in ")
        after = snapshot(project)
        assert only(after, before.keys() - fresh) == only(before, before.keys() - fresh)
        for name in fresh.keys() & before.keys():
            assert after[name] == before[name] or fresh[name].startswith(after[name][1]), name


def test_the_hook_needs_no_room_on_the_disk(
    project_in_use: Project, workplace: Path, bake_once: Bake, tmp_path: Path
) -> None:
    template, fresh = copied_template(tmp_path), files(bake_once().path)
    with small_disk(workplace, 6_000_000):
        project = used(project_in_use, workplace)
        with paused(workplace, template / AT_THE_END, template) as generation:
            fill(workplace)
            generation.resume()
            printed = generation.end()
            assert generation.process.returncode == 0, printed
        assert only(files(project), fresh) == fresh


@pytest.mark.parametrize("over", [False, True], ids=["new", "over a project"])
def test_a_hook_that_fails_in_the_middle_says_which_files_are_not_in_place(
    project_in_use: Project, workplace: Path, bake_once: Bake, tmp_path: Path, *, over: bool
) -> None:
    template, fresh = copied_template(tmp_path), files(bake_once().path)
    project = used(project_in_use, workplace) if over else workplace / SLUG
    before = snapshot(project) if over else {}
    with paused(workplace, template / AT_THE_END, template) as generation:
        # Somebody puts a folder where the hook is to put a file, when all checks are done.
        (project / "deploy/compose.yaml").unlink(missing_ok=True)
        write(project, {"deploy/compose.yaml/mine.txt": b"mine"})
        generation.resume()
        printed = generation.end()
        assert generation.process.returncode == 1
    told = next(line for line in printed.splitlines() if line.startswith("post_gen_project: "))
    assert "These files were not moved into place: deploy/compose.yaml, deploy/" in told
    assert told.endswith(" All others were.")
    if not over:
        assert list(workplace.iterdir()) == []
        return
    after = snapshot(project)
    assert only(after, before.keys() - fresh) == only(before, before.keys() - fresh)
    assert after["Dockerfile"][1] == fresh["Dockerfile"]
    assert after["src/checksum_service/cli.py"][1] == EDITED["src/checksum_service/cli.py"]
    assert after["deploy/compose.yaml/mine.txt"][1] == b"mine"
    assert not any(name.startswith("_variants") for name in after)
