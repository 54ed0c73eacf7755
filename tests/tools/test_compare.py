"""`make compare`: a short real run, the alternative Dockerfiles, and the consistency of the committed results."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TEMPLATE, container
from tools.compare import (
    ADDITIONAL_METRICS,
    ALTERNATIVES,
    BEGIN,
    DOCS,
    END,
    LESSON_TABLES,
    LESSONS,
    MINIMAL,
    create_project,
    exceeded_sizes,
    generated_section,
    harness,
    list_contents,
    list_methods,
    list_strategies,
    main,
    render,
    replace_between_markers,
    targets_table,
)
from tools.demo import post_body
from tools.engine import Engine

COMMITTED = json.loads((DOCS / "comparison.json").read_text("utf-8"))
ALL_ALTERNATIVES = sorted(path.name for path in ALTERNATIVES.iterdir())
MEASURED = ["venv", MINIMAL, "article-venv", "uv-multistage"]
TOLERANCE = 1.2


@pytest.fixture(scope="module")
def cached_before(engine: Engine, base_image: Any) -> set[str]:
    """Return the records in the build cache before the measurement."""
    base_image("3.14")
    return harness.Engine(engine.environment).cached_records()


@pytest.fixture(scope="module")
def comparison_run(
    engine: Engine,
    cached_before: set[str],  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Measure venv, also in a minimal image, and two alternatives; return the finished process and the report."""
    file = tmp_path_factory.mktemp("compare") / "comparison.json"
    command = [sys.executable, "-m", "tools.compare", "--rounds=1", f"--json={file}", *MEASURED]
    result = subprocess.run(command, cwd=TEMPLATE, env=engine.environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result, json.loads(file.read_text("utf-8"))


@pytest.mark.weekly
@pytest.mark.serial
def test_comparison_measures_all_metrics_of_all_methods(comparison_run: Any) -> None:
    result, report = comparison_run
    assert list(report["methods"]) == MEASURED
    for method, metrics in report["methods"].items():
        expected = {name for group in harness.GROUPS.values() for name in group}
        assert expected <= metrics.keys() <= {*expected, *ADDITIONAL_METRICS}
        assert all(metric[key] > 0 for metric in metrics.values() for key in ("median", "min", "max"))
        assert f"\n  {method}: cold " in result.stdout
        assert metrics["image"]["median"] >= metrics["size"]["median"]
        assert metrics["pulled"]["median"] >= metrics["compressed"]["median"]
    assert list(report["contents"]) == MEASURED
    for method, contents in report["contents"].items():
        assert contents["shell"] == (method != MINIMAL)
        assert contents["packages"] > 0
    assert generated_section(report) in result.stdout


@pytest.mark.weekly
@pytest.mark.serial
def test_minimal_image_is_smaller_and_has_fewer_packages(comparison_run: Any) -> None:
    _, report = comparison_run
    venv, minimal = (report["methods"][method] for method in ("venv", MINIMAL))
    for name in ("image", "pulled"):
        assert minimal[name]["median"] < venv[name]["median"] / 2
    # It contains no layer of the base image.
    assert minimal["size"] == minimal["image"] | {"ratio": minimal["size"]["ratio"]}
    assert report["contents"][MINIMAL]["packages"] < report["contents"]["venv"]["packages"] / 2


@pytest.mark.weekly
@pytest.mark.serial
def test_reported_ratios_match_measurements(comparison_run: Any) -> None:
    _, report = comparison_run
    venv, *others = report["methods"].values()
    for name in (name for group in harness.GROUPS.values() for name in group):
        assert venv[name]["ratio"] == {"median": 1, "min": 1, "max": 1}
        for other in others:
            least, most = other[name]["min"] / venv[name]["max"], other[name]["max"] / venv[name]["min"]
            assert least <= other[name]["ratio"]["min"] <= other[name]["ratio"]["max"] <= most
        assert other["size"]["ratio"]["median"] == pytest.approx(other["size"]["median"] / venv["size"]["median"])


# Only sizes, because times depend on the load of the host.
@pytest.mark.weekly
@pytest.mark.serial
@pytest.mark.parametrize("other", MEASURED[1:])
@pytest.mark.parametrize("name", ["size", "compressed", "image", "pulled", "pushed"])
def test_ratio_to_alternative_is_within_tolerance_of_committed(comparison_run: Any, name: str, other: str) -> None:
    now, committed = (report["methods"][other][name]["ratio"]["median"] for report in (comparison_run[1], COMMITTED))
    assert committed / TOLERANCE <= now <= committed * TOLERANCE


@pytest.mark.weekly
@pytest.mark.serial
def test_source_change_pushes_less_than_article_venv(comparison_run: Any) -> None:
    venv, article_venv = (comparison_run[1]["methods"][method] for method in ("venv", "article-venv"))
    assert venv["pushed"]["median"] < venv["compressed"]["median"] / 10
    # article-venv pushes its single layer, the image configuration, manifests and attestation.
    assert (
        article_venv["compressed"]["median"]
        < article_venv["pushed"]["median"]
        < article_venv["compressed"]["median"] * 1.1
    )


@pytest.mark.weekly
@pytest.mark.serial
def test_comparison_leaves_nothing_on_the_engine(engine: Engine, cached_before: set[str], comparison_run: Any) -> None:  # noqa: ARG001
    images = engine.docker("image", "ls", "--format", "{{.Repository}}").stdout
    containers = engine.docker("ps", "--all", "--format", "{{.Image}}").stdout
    for name in ("/checksum-service/", "compare-registry"):
        assert name not in images + containers
    printed = engine.docker("buildx", "du", "--verbose").stdout
    # The steps of the registry's image may stay: all rounds share it.
    steps = [record for record in printed.split("\n\n") if " from exec " in record and "docker-registry" not in record]
    assert [step for step in steps if not any(f" {identity}\n" in step for identity in cached_before)] == []


@pytest.fixture(scope="module")
def project(engine: Engine, base_image: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the project that every method builds."""
    base_image("3.14")
    return create_project(engine, tmp_path_factory.mktemp("alternatives"))


@pytest.fixture(scope="module", params=ALL_ALTERNATIVES)
def alternative_image(request: pytest.FixtureRequest, engine: Engine, project: Any) -> Iterator[str]:
    """Build an image with an alternative Dockerfile."""
    tag = f"test-{os.getpid()}-alternative:{request.param}"
    engine.docker("build", "--tag", tag, "--file", project.dockerfile(request.param), ".", cwd=project.path)
    yield tag
    engine.docker("image", "rm", tag, check=False)


@pytest.mark.weekly
def test_alternative_image_runs_the_service_read_only(engine: Engine, alternative_image: str) -> None:
    with container(engine, alternative_image, "--read-only", "--publish=127.0.0.1::8000") as name:
        url = f"http://{engine.docker('port', name, '8000/tcp').stdout.splitlines()[0]}"
        assert post_body(f"{url}/crc32c") == '{"crc32c":"e3069283","bytes":9}'
        # An image without a shell contains no cat.
        show = "print(open('/proc/1/cmdline').read())"
        program = engine.docker("exec", name, "python", "-c", show).stdout.split("\0")[0]
        # crcmod falls back to pure Python if its extension module was not compiled.
        engine.docker("exec", name, program, "-c", "import crcmod._crcfunext")


def test_alternative_dockerfiles_pass_docker_build_check(engine: Engine, project: Any) -> None:
    for name in ALL_ALTERNATIVES:
        check = engine.docker("build", "--check", "--file", project.dockerfile(name), ".", cwd=project.path)
        assert "no warnings found" in (check.stdout + check.stderr), name


@pytest.mark.parametrize("name", ALL_ALTERNATIVES)
def test_alternative_dockerfile_names_source_and_changes(name: str) -> None:
    comment = (ALTERNATIVES / name / "Dockerfile").read_text("utf-8").partition("\nFROM")[0]
    for word in ("# Source: ", "https://", "# Fixes: ", "# Optimisations: "):
        assert word in comment
    assert f"](alternatives/{name}/Dockerfile)" in (DOCS / "comparison.md").read_text("utf-8")


def test_committed_results_cover_all_methods() -> None:
    assert list(COMMITTED["methods"]) == list_methods()


def test_committed_tables_and_charts_match_committed_results(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = tmp_path / "comparison.md"
    shutil.copy(DOCS / "comparison.md", document)
    lessons = tmp_path_factory.mktemp("lessons")
    for name in LESSON_TABLES:
        shutil.copytree(LESSONS / name, lessons / name)
    render(COMMITTED, document, tmp_path, lessons)
    for name in LESSON_TABLES:
        assert (lessons / name / "README.md").read_text("utf-8") == (LESSONS / name / "README.md").read_text("utf-8")
    drawn = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text("utf-8") for path in DOCS.glob("comparison*") if path.suffix != ".json"}
    assert drawn == committed
    shown = (TEMPLATE / "README.md").read_text("utf-8").replace('"docs/', '"') + committed["comparison.md"]
    assert all(f'"{name}"' in shown for name in committed if name.endswith(".svg"))


def test_last_lesson_agrees_with_committed_results() -> None:
    own = {method: COMMITTED["methods"][method] for method in list_strategies()}
    for name in ("cold", "edit_py", "add_requirement"):
        assert min(own, key=lambda method: own[method][name]["ratio"]["median"]) == "venv"
    for name in ("size", "start"):
        assert all(abs(metrics[name]["ratio"]["median"] - 1) < 0.1 for metrics in own.values())
    for name in ("article-user", "article-venv"):
        assert COMMITTED["methods"][name]["start"]["ratio"]["median"] > 1.2
    assert COMMITTED["methods"]["single-stage"]["size"]["ratio"]["median"] > 10


# Ratios to venv that reach all targets of sizes.
RATIOS = {"size": 2.0, "image": 1.5, "pulled": 1.5, "pushed": 200.0}


def summaries_with(**minimal: float) -> dict[str, Any]:
    """Return summaries of venv, venv-minimal and article-venv; `minimal` contains ratios of venv-minimal."""
    ratios = {
        "venv": dict.fromkeys(RATIOS, 1.0),
        MINIMAL: {"size": 1.0, "image": 0.5, "pulled": 0.5, "pushed": 1.0} | minimal,
        "article-venv": RATIOS,
    }
    return {
        method: {name: {"median": each * 30_000, "ratio": {"median": each}} for name, each in values.items()}
        for method, values in ratios.items()
    }


def test_missed_size_is_reported_in_a_sentence() -> None:
    published = summaries_with()
    assert exceeded_sizes(summaries_with(), published) == []
    (sentence,) = exceeded_sizes(summaries_with(image=0.9), published)
    assert sentence == f"{MINIMAL}: whole image is 0.6 of `article-venv`; it must be at most 0.4."


def test_size_that_misses_its_target_may_not_grow() -> None:
    published = summaries_with(image=0.75)
    assert exceeded_sizes(summaries_with(image=0.78), published) == []
    (sentence,) = exceeded_sizes(summaries_with(image=0.9), published)
    assert sentence.endswith("; it must be at most 0.55.")


def test_targets_of_methods_not_measured_are_not_exceeded() -> None:
    summaries = summaries_with(image=0.9)
    del summaries["article-venv"]
    assert exceeded_sizes(summaries, summaries) == []
    assert "| 0.4 | not measured |" in targets_table(summaries)


def test_worst_round_misses_target_that_median_reaches() -> None:
    values = {"venv": {"edit_py": [1.0, 1.0, 2.0]}, "article-venv": {"edit_py": [4.0, 4.0, 4.0]}}
    rows = targets_table(harness.summarise(values)).splitlines()
    median, worst = (row for row in rows if "one .py" in row and "`article-venv` | 0.35" in row)
    assert median.endswith("| 0.250 |")
    assert worst.endswith("| **0.500** |")


def test_check_fails_if_size_exceeds_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.compare.render", lambda *_: None)
    monkeypatch.setattr("tools.compare.exceeded_sizes", lambda *_: [])
    main(["--render", "--check"])
    monkeypatch.setattr("tools.compare.exceeded_sizes", lambda *_: ["venv: too large."])
    with pytest.raises(SystemExit, match="venv: too large"):
        main(["--render", "--check"])


def exported(files: dict[str, str]) -> tarfile.TarFile:
    """Return a tar archive with the files, as `docker export` writes it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return tarfile.open(fileobj=io.BytesIO(stream.getvalue()))


def test_contents_list_shell_and_packages_of_dpkg() -> None:
    status = "Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: deinstall ok config-files\n"
    files = {"usr/bin/dash": "", "var/lib/dpkg/status": status}
    assert list_contents(exported(files)) == {"shell": True, "packages": 1}


def test_contents_count_packages_without_dpkg() -> None:
    names = ("libc6", "libc6.md5sums", "tzdata")
    files = {"usr/share/sh": "", **{f"var/lib/dpkg/status.d/{name}": "" for name in names}}
    assert list_contents(exported(files)) == {"shell": False, "packages": 2}


def test_render_replaces_only_text_between_markers() -> None:
    document = f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n"
    assert replace_between_markers(document, BEGIN, "new") == f"before\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n"


def test_pushed_bytes_exclude_blobs_already_in_registry() -> None:
    before = harness.Pushed({"index": 1, "manifest": 2, "base": 100, "old": 30}, ["base", "old"], [])
    after = harness.Pushed({"index'": 1, "manifest'": 2, "base": 100, "new": 7}, ["base", "new"], [])
    assert harness.new_bytes(before, after) == 10
    assert harness.new_bytes(after, after) == 0


def test_build_without_cached_run_steps_is_detected() -> None:
    base = "#4 [compile-image 1/2] FROM docker.io/library/python\n#4 CACHED\n"
    run = "\n#5 [compile-image 2/2] RUN apt-get update\n"
    assert harness.has_cached_run_step(f"{base}{run}#5 CACHED\n")
    assert not harness.has_cached_run_step(f"{base}{run}#5 0.1 Get:1\n#5 DONE 9.0s\n")


def test_ratios_compare_measurements_of_the_same_round() -> None:
    summaries = harness.summarise(
        {"venv": {"cold": [1.0, 4.0, 2.0]}, "other": {"cold": [2.0, 6.0, 8.0], "more": [1.0]}}
    )
    assert summaries["other"]["cold"] == {
        "median": 6.0,
        "min": 2.0,
        "max": 8.0,
        "ratio": {"median": 2.0, "min": 1.5, "max": 4.0},
    }
    assert "ratio" not in summaries["other"]["more"]
