"""`make compare`: it measures for real, its peers work, and what is committed of it fits together."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compare import (
    BEGIN,
    DOCS,
    END,
    FURTHER,
    LESSON,
    PEERS,
    between,
    harness,
    made_text,
    peers,
    render,
    sample,
    ways,
)
from tests.conftest import TEMPLATE, container
from tests.demo import ask
from tests.engine import Engine

pytestmark = pytest.mark.alone

COMMITTED = json.loads((DOCS / "comparison.json").read_text("utf-8"))
EVERY_PEER = sorted(path.name for path in PEERS.iterdir())
MEASURED = ["venv", "article-venv", "uv-multistage"]
ROUNDS = 2
WORSE = 1.2


@pytest.fixture(scope="module")
def cached_before(engine: Engine, base_image: Any) -> set[str]:
    """Note what the build cache holds before anything is measured."""
    base_image("3.14")
    return harness.Engine(engine.environment).cached()


@pytest.fixture(scope="module")
def finished(
    engine: Engine,
    cached_before: set[str],  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Measure ours and two peers, to the end; return what was printed, and the report."""
    file = tmp_path_factory.mktemp("compare") / "comparison.json"
    command = [sys.executable, "-m", "tests.compare", f"--rounds={ROUNDS}", f"--json={file}", *MEASURED]
    result = subprocess.run(command, cwd=TEMPLATE, env=engine.environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result, json.loads(file.read_text("utf-8"))


@pytest.mark.slow
def test_every_figure_of_every_way_is_measured(finished: Any) -> None:
    result, report = finished
    assert list(report["ways"]) == MEASURED
    for way, figures in report["ways"].items():
        expected = {name for group in harness.GROUPS.values() for name in group}
        assert expected <= figures.keys() <= {*expected, *FURTHER}
        assert all(figure[key] > 0 for figure in figures.values() for key in ("median", "min", "max"))
        assert f"\n  {way}: cold " in result.stdout
    assert made_text(report) in result.stdout


@pytest.mark.slow
def test_the_ratios_are_those_of_the_figures(finished: Any) -> None:
    _, report = finished
    ours, *peers = report["ways"].values()
    for name in (name for group in harness.GROUPS.values() for name in group):
        assert ours[name]["ratio"] == {"median": 1, "min": 1, "max": 1}
        for peer in peers:
            least, most = peer[name]["min"] / ours[name]["max"], peer[name]["max"] / ours[name]["min"]
            assert least <= peer[name]["ratio"]["min"] <= peer[name]["ratio"]["max"] <= most
        assert peer["size"]["ratio"]["median"] == pytest.approx(peer["size"]["median"] / ours["size"]["median"])


# Sizes are exact. Times vary: worse is a ratio that no round brings near to the committed one. A cold build is mostly
# downloads, and as slow as the network.
@pytest.mark.slow
@pytest.mark.parametrize("peer", MEASURED[1:])
@pytest.mark.parametrize("name", ["size", "compressed", "pushed", "edit_py", "edit_c", "add_requirement"])
def test_no_ratio_to_a_peer_is_worse_than_the_committed_one(finished: Any, name: str, peer: str) -> None:
    now = finished[1]["ways"][peer][name]["ratio"]["max"]
    assert now * WORSE >= COMMITTED["ways"][peer][name]["ratio"]["median"]


@pytest.mark.slow
def test_an_edit_of_one_of_many_c_files_costs_no_more_than_the_committed_ratio(finished: Any) -> None:
    now = finished[1]["ways"]["venv"]["one_of_100_c_ratio"]["min"]
    assert now <= COMMITTED["ways"]["venv"]["one_of_100_c_ratio"]["median"] * WORSE


@pytest.mark.slow
def test_an_edit_sends_one_layer_of_ours_and_everything_of_the_article_s(finished: Any) -> None:
    ours, peer, _ = finished[1]["ways"].values()
    assert ours["pushed"]["median"] < ours["compressed"]["median"] / 10
    # The configuration, the manifests and the attestation come with its one layer.
    assert peer["compressed"]["median"] < peer["pushed"]["median"] < peer["compressed"]["median"] * 1.1


@pytest.mark.slow
def test_nothing_is_left_on_the_engine(engine: Engine, cached_before: set[str], finished: Any) -> None:  # noqa: ARG001
    images = engine.docker("image", "ls", "--format", "{{.Repository}}").stdout
    containers = engine.docker("ps", "--all", "--format", "{{.Image}}").stdout
    for name in ("/checksum-service/", "compare-registry"):
        assert name not in images + containers
    told = engine.docker("buildx", "du", "--verbose").stdout
    # All rounds share the registry's image.
    steps = [record for record in told.split("\n\n") if " from exec " in record and "docker-registry" not in record]
    assert [step for step in steps if not any(f" {identity}\n" in step for identity in cached_before)] == []


@pytest.fixture(scope="module")
def project(engine: Engine, base_image: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the project that is built every way."""
    base_image("3.14")
    return sample(engine, tmp_path_factory.mktemp("peers"))


@pytest.fixture(scope="module", params=EVERY_PEER)
def peer(request: pytest.FixtureRequest, engine: Engine, project: Any) -> Iterator[str]:
    """Build one of the other ways."""
    tag = f"test-{os.getpid()}-peer:{request.param}"
    engine.docker("build", "--tag", tag, "--file", project.dockerfile(request.param), ".", cwd=project.path)
    yield tag
    engine.docker("image", "rm", tag, check=False)


@pytest.mark.slow
def test_a_peer_runs_the_same_service_read_only(engine: Engine, peer: str) -> None:
    with container(engine, peer, "--read-only", "--publish=127.0.0.1::8000") as name:
        url = f"http://{engine.docker('port', name, '8000/tcp').stdout.splitlines()[0]}"
        assert ask(f"{url}/crc32c") == '{"crc32c":"e3069283","bytes":9}'
        program = engine.docker("exec", name, "cat", "/proc/1/cmdline").stdout.split("\0")[0]
        # What had to be compiled was: else crcmod falls back to a module in Python.
        engine.docker("exec", name, program, "-c", "import crcmod._crcfunext")


def test_docker_s_own_check_finds_nothing_in_a_peer(engine: Engine, project: Any) -> None:
    for name in EVERY_PEER:
        check = engine.docker("build", "--check", "--file", project.dockerfile(name), ".", cwd=project.path)
        assert "no warnings found" in (check.stdout + check.stderr), name


@pytest.mark.parametrize("name", EVERY_PEER)
def test_a_peer_names_its_source_and_what_was_changed(name: str) -> None:
    comment = (PEERS / name / "Dockerfile").read_text("utf-8").partition("\nFROM")[0]
    for word in ("# Source: ", "https://", "# Repaired: ", "# Tuned: "):
        assert word in comment
    assert f"](peers/{name}/Dockerfile)" in (DOCS / "comparison.md").read_text("utf-8")


def test_the_committed_figures_are_of_all_ways() -> None:
    assert list(COMMITTED["ways"]) == ways()


def test_the_committed_tables_and_charts_show_the_committed_figures(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = tmp_path / "comparison.md"
    shutil.copy(DOCS / "comparison.md", document)
    lesson = tmp_path_factory.mktemp("lesson") / "README.md"
    shutil.copy(LESSON, lesson)
    render(COMMITTED, document, tmp_path, lesson)
    assert lesson.read_text("utf-8") == LESSON.read_text("utf-8")
    drawn = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text("utf-8") for path in DOCS.glob("comparison*") if path.suffix != ".json"}
    assert drawn == kept
    shown = (TEMPLATE / "README.md").read_text("utf-8").replace('"docs/', '"') + kept["comparison.md"]
    assert all(f'"{name}"' in shown for name in kept if name.endswith(".svg"))


def test_the_figures_bear_out_what_the_last_lesson_says_of_them() -> None:
    own = {way: figures for way, figures in COMMITTED["ways"].items() if way not in peers()}
    for name in ("cold", "edit_py", "add_requirement"):
        assert min(own, key=lambda way: own[way][name]["ratio"]["median"]) == "venv"
    for name in ("size", "start"):
        assert all(abs(figures[name]["ratio"]["median"] - 1) < 0.1 for figures in own.values())
    for name in ("article-user", "article-venv"):
        assert COMMITTED["ways"][name]["start"]["ratio"]["median"] > 1.2
    assert COMMITTED["ways"]["single-stage"]["size"]["ratio"]["median"] > 10


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    document = f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n"
    assert between(document, BEGIN, "new") == f"before\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n"


def test_a_registry_needs_the_blobs_that_it_lacks() -> None:
    before = harness.Pushed({"index": 1, "manifest": 2, "base": 100, "old": 30}, ["base", "old"], [])
    after = harness.Pushed({"index'": 1, "manifest'": 2, "base": 100, "new": 7}, ["base", "new"], [])
    assert harness.new_bytes(before, after) == 10
    assert harness.new_bytes(after, after) == 0


def test_a_build_that_kept_no_layer_but_the_base_is_noticed() -> None:
    base = "#4 [compile-image 1/2] FROM docker.io/library/python\n#4 CACHED\n"
    run = "\n#5 [compile-image 2/2] RUN apt-get update\n"
    assert harness.kept_a_layer(f"{base}{run}#5 CACHED\n")
    assert not harness.kept_a_layer(f"{base}{run}#5 0.1 Get:1\n#5 DONE 9.0s\n")


def test_ratios_are_taken_within_a_round() -> None:
    told = harness.summarise({"venv": {"cold": [1.0, 4.0, 2.0]}, "other": {"cold": [2.0, 6.0, 8.0], "more": [1.0]}})
    assert told["other"]["cold"] == {
        "median": 6.0,
        "min": 2.0,
        "max": 8.0,
        "ratio": {"median": 2.0, "min": 1.5, "max": 4.0},
    }
    assert "ratio" not in told["other"]["more"]
