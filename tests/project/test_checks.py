"""Mutation tests of a generated project's checks: each test injects a fault that a check must report."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Bake, Project, copy_project, weekly_after

pytestmark = pytest.mark.usefixtures("index")

NATIVE = "src/checksum_service/_native.c"
RELEASE = "    PyBuffer_Release(&data);\n"


def install_project(bake_once: Bake, app: str, directory: Path) -> Project:
    """Return a project with its development tools, separate from the one that other tests share."""
    project = copy_project(bake_once(app=app), directory)
    result = make(project, "dev")
    assert result.returncode == 0, result.stderr
    return project


@pytest.fixture(scope="module")
def service_project(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with a service, and its development tools."""
    return install_project(bake_once, "service", tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="module")
def project(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project without a service, because the checks are the same, and its tests take less time."""
    return install_project(bake_once, "cli", tmp_path_factory.mktemp("cli"))


@pytest.fixture
def project_copy(project: Project, tmp_path: Path) -> Project:
    """Return a copy to inject a fault into. It uses a copy of the original's virtualenv."""
    shutil.copytree(project.path, tmp_path / project.slug, ignore=shutil.ignore_patterns(".venv", "build", "*.so"))
    copy = Project(tmp_path / project.slug, project.answers)
    shutil.copytree(project.path / ".venv", copy.path / ".venv", symlinks=True)
    for script in (copy.path / ".venv/bin").iterdir():
        if script.is_file() and not script.is_symlink() and script.read_bytes().startswith(b"#!"):
            script.write_bytes(script.read_bytes().replace(bytes(project.path), bytes(copy.path)))
    os.utime(copy.path / ".venv/ready")
    os.utime(copy.path / ".venv/tools")
    (copy.path / ".venv/installed").unlink()
    return copy


def make(project: Project, target: str, options: str = "") -> subprocess.CompletedProcess[str]:
    """Run a make target of the project, with options for pytest."""
    return project.run("make", target, env={**os.environ, "PYTEST_ADDOPTS": f"-p no:cacheprovider {options}"})


def failed_output(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode != 0, "the check did not detect the fault"
    return result.stdout + result.stderr


@pytest.mark.parametrize("target", ["test", "threads", "types", "asan", "leaks", "coverage"])
def test_generated_project_passes(project: Project, target: str) -> None:
    result = make(project, target)
    assert result.returncode == 0, result.stdout + result.stderr


# test_make_it_yours.py runs `make coverage` and `make asan` of a service, and test_debugging_page.py `make test`.
@pytest.mark.parametrize("target", weekly_after(1, ["types", "coverage", "test"]))
def test_generated_service_passes(service_project: Project, target: str) -> None:
    result = make(service_project, target)
    assert result.returncode == 0, result.stdout + result.stderr


def test_make_test_rebuilds_changed_c_source(project_copy: Project) -> None:
    project_copy.edit(NATIVE, "0x82F63B78u", "0x82F63B79u")
    assert "test_known_values" in failed_output(make(project_copy, "test"))


def test_asan_reports_read_past_the_end(project_copy: Project) -> None:
    project_copy.edit(NATIVE, "for (; size > 0; data++, size--) {", "for (size++; size > 0; data++, size--) {")
    assert "AddressSanitizer: heap-buffer-overflow" in failed_output(make(project_copy, "asan"))


def test_asan_reports_read_past_the_end_for_one_length(project_copy: Project) -> None:
    read = "    if (size == 37) {\n        volatile unsigned char next = data[size];\n        (void)next;\n    }\n"
    project_copy.edit(NATIVE, "    crc = ~crc;\n", f"    crc = ~crc;\n{read}")
    assert "AddressSanitizer: heap-buffer-overflow" in failed_output(make(project_copy, "asan", "-k test_any_data"))


def test_asan_reports_undefined_behaviour(project_copy: Project) -> None:
    project_copy.edit(
        NATIVE, "    crc = ~crc;\n", "    crc = ~crc;\n    int shift = 31 + (int)(size > 0);\n    crc ^= 0u << shift;\n"
    )
    assert "runtime error: shift exponent 32 is too large" in failed_output(make(project_copy, "asan"))


def test_leaks_reports_unreleased_buffer(project_copy: Project) -> None:
    project_copy.edit(NATIVE, RELEASE, "")
    assert "memory kept increasing" in failed_output(make(project_copy, "leaks", "-k test_bytes_like"))


def test_make_test_reports_unreleased_buffer(project_copy: Project) -> None:
    project_copy.edit(NATIVE, RELEASE, "")
    assert "test_buffer_is_released" in failed_output(make(project_copy, "test"))


def test_stubtest_reports_wrong_default(project_copy: Project) -> None:
    project_copy.edit("src/checksum_service/_native.pyi", "value: int = 0", "value: int = 1")
    assert "_native.crc32c" in failed_output(make(project_copy, "types"))


def test_mypy_reports_wrong_type(project_copy: Project) -> None:
    project_copy.edit("src/checksum_service/cli.py", "    value = 0\n", '    value = "0"\n')
    assert "cli.py" in failed_output(make(project_copy, "types"))


def test_coverage_fails_on_uncovered_c_code(project_copy: Project) -> None:
    branch = "    if (size == 123456) {\n" + "        crc ^= 1;\n" * 10 + "    }\n"
    project_copy.edit(NATIVE, "    crc = ~crc;\n", f"    crc = ~crc;\n{branch}")
    assert "Failed minimum line coverage" in failed_output(make(project_copy, "coverage"))


def test_coverage_fails_on_uncovered_python_code(project_copy: Project) -> None:
    unused = "\n\ndef unused() -> int:\n" + "".join(f"    x{n} = {n}\n" for n in range(300)) + "    return x0\n"
    path = project_copy.path / "src/checksum_service/cli.py"
    path.write_text(path.read_text("utf-8") + unused, "utf-8")
    assert "Coverage failure" in failed_output(make(project_copy, "coverage"))


def test_hypothesis_finds_wrong_value_for_one_byte(project_copy: Project) -> None:
    project_copy.edit(NATIVE, "    return ~crc;\n", "    return ~crc ^ (data[-1] == 'C');\n")
    printed = failed_output(make(project_copy, "test", "-k 'test_any_data or test_parts'"))
    assert "FAILED tests/test_native.py::test_any_data" in printed


def test_make_lock_fails_for_unknown_distribution(project_copy: Project) -> None:
    project_copy.edit("pyproject.toml", "build = [", 'build = ["no-such-distribution-anywhere==1", ')
    assert "no-such-distribution-anywhere" in failed_output(make(project_copy, "lock"))


def test_import_reports_undefined_symbol(project_copy: Project) -> None:
    project_copy.edit(
        NATIVE, "    native_state *state", "    extern void nowhere(void);\n    nowhere();\n    native_state *state"
    )
    assert "undefined symbol: nowhere" in failed_output(make(project_copy, "test"))
