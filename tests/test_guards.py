"""Each guard of a generated project bites: the fault that it exists for is planted, and it must say so."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Bake, Project, copied

NATIVE = "src/checksum_service/_native.c"
RELEASE = "    PyBuffer_Release(&data);\n"


@pytest.fixture(scope="module")
def project(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a default project with its development tools installed; other tests find theirs as it was generated."""
    project = copied(bake_once(), tmp_path_factory.mktemp("guards"))
    made = make(project, "dev")
    assert made.returncode == 0, made.stderr
    return project


@pytest.fixture
def faulty(project: Project, tmp_path: Path) -> Project:
    """Return a copy, to plant a fault in. Its tools are the original's."""
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


def make(project: Project, target: str, *variables: str) -> subprocess.CompletedProcess[str]:
    """Run one of the project's own commands."""
    return project.run("make", target, *variables, env={**os.environ, "PYTEST_ADDOPTS": "-p no:cacheprovider"})


def said(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode != 0, "the guard has not bitten"
    return result.stdout + result.stderr


@pytest.mark.parametrize("target", ["test", "threads", "types", "asan", "leaks", "coverage"])
def test_a_fresh_project_passes(project: Project, target: str) -> None:
    result = make(project, target)
    assert result.returncode == 0, result.stdout + result.stderr


def test_tests_follow_an_edit_of_the_c_source(faulty: Project) -> None:
    faulty.edit(NATIVE, "0x82F63B78u", "0x82F63B79u")
    assert "test_known_values" in said(make(faulty, "test"))


def test_asan_reports_a_read_past_the_end(faulty: Project) -> None:
    faulty.edit(NATIVE, "for (; size > 0; data++, size--) {", "for (size++; size > 0; data++, size--) {")
    assert "AddressSanitizer: heap-buffer-overflow" in said(make(faulty, "asan"))


def test_asan_reports_undefined_behaviour(faulty: Project) -> None:
    faulty.edit(
        NATIVE, "    crc = ~crc;\n", "    crc = ~crc;\n    int shift = 31 + (int)(size > 0);\n    crc ^= 0u << shift;\n"
    )
    assert "runtime error: shift exponent 32 is too large" in said(make(faulty, "asan"))


def test_leaks_reports_a_buffer_that_is_not_released(faulty: Project) -> None:
    faulty.edit(NATIVE, RELEASE, "")
    assert "test_large" in said(make(faulty, "leaks"))


def test_the_tests_notice_a_buffer_that_is_not_released(faulty: Project) -> None:
    faulty.edit(NATIVE, RELEASE, "")
    assert "test_the_buffer_is_let_go" in said(make(faulty, "test"))


def test_stubtest_reports_a_wrong_default(faulty: Project) -> None:
    faulty.edit("src/checksum_service/_native.pyi", "value: int = 0", "value: int = 1")
    assert "_native.crc32c" in said(make(faulty, "types"))


def test_mypy_reports_a_wrong_type(faulty: Project) -> None:
    faulty.edit("src/checksum_service/checksums.py", "    value = 0\n", '    value = "0"\n')
    assert "checksums.py" in said(make(faulty, "types"))


def test_coverage_reports_c_that_no_test_reaches(faulty: Project) -> None:
    branch = "    if (size == 123456) {\n" + "        crc ^= 1;\n" * 10 + "    }\n"
    faulty.edit(NATIVE, "    crc = ~crc;\n", f"    crc = ~crc;\n{branch}")
    assert "Failed minimum line coverage" in said(make(faulty, "coverage"))


def test_coverage_reports_python_that_no_test_reaches(faulty: Project) -> None:
    unused = "\n\ndef unused() -> int:\n" + "".join(f"    x{n} = {n}\n" for n in range(300)) + "    return x0\n"
    path = faulty.path / "src/checksum_service/checksums.py"
    path.write_text(path.read_text("utf-8") + unused, "utf-8")
    assert "Coverage failure" in said(make(faulty, "coverage"))


def test_a_requirement_that_nobody_has_fails_the_lock(faulty: Project) -> None:
    faulty.edit("pyproject.toml", "build = [", 'build = ["no-such-distribution-anywhere==1", ')
    assert "no-such-distribution-anywhere" in said(make(faulty, "lock"))


def test_the_smoke_import_reports_a_symbol_that_is_nowhere(faulty: Project) -> None:
    faulty.edit(
        NATIVE, "    fill_table(PyModule", "    extern void nowhere(void);\n    nowhere();\n    fill_table(PyModule"
    )
    assert "undefined symbol: nowhere" in said(make(faulty, "test"))
