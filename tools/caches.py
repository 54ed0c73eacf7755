"""Measure how exported layers speed up builds on a fresh host: `python -m tools.caches [--rounds N] [--render]`.

A second private engine is the fresh host. It builds the image of lesson 8 without a cache, and with the caches that the
first engine exported. The results are written to docs/caches.json, and the table into the lesson; `--render` only
redraws the table.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tools.compare import (
    DOCS,
    LESSONS,
    collect_facts,
    describe_environment,
    empty_engine,
    harness,
    replace_between_markers,
)
from tools.demo import PYTHON, log
from tools.engine import DockerError, Engine, EngineUnavailable, running_engine, second_engine

LESSON = LESSONS / "08-caches"
BEGIN = "<!-- Generated from the template's docs/caches.json. -->"
CACHES = {"no cache": None, "`mode=min`": "min", "`mode=max`": "max"}
NOTHING, ONE_FILE = CHANGES = ("nothing", "one `.py` file")


def build(engine: Engine, app: Path, *options: str) -> float:
    """Build the image of the lesson, and return the seconds that the build takes."""
    begin = time.perf_counter()
    engine.docker("build", "--file", str(LESSON / "Dockerfile"), *options, str(app))
    return time.perf_counter() - begin


def measure(rounds: int) -> dict[str, Any]:
    """Build on an emptied engine with each cache, after each change, and return the report."""
    with tempfile.TemporaryDirectory() as name, running_engine() as engine:
        base = engine.base_image(PYTHON)
        report = collect_facts(engine, base, rounds)
        directory = Path(name)
        apps = {change: Path(shutil.copytree(LESSONS / "app", directory / str(i))) for i, change in enumerate(CHANGES)}
        for exported in filter(None, CACHES.values()):
            # mode=min also exports layers that were exported before, so create new ones.
            options = ("--no-cache", f"--cache-to=type=local,dest={directory / exported},mode={exported}")
            build(engine, apps[NOTHING], *options)
        with (apps[ONE_FILE] / "src/hello/__main__.py").open("a") as file:
            file.write("# A change.\n")
        seconds: harness.Results = {cache: {change: [] for change in CHANGES} for cache in CACHES}
        with second_engine(engine, base) as second:
            for number in range(rounds):
                log(f"round {number + 1} of {rounds}")
                for change, app in apps.items():
                    for cache, mode in CACHES.items():
                        empty_engine(harness.Engine(second.environment))
                        cache_from = [f"--cache-from=type=local,src={directory / mode}"] if mode else []
                        seconds[cache][change].append(build(second, app, *cache_from))
                        log(f"  {change}, {cache}: {seconds[cache][change][-1]:.1f} s")
    return {**report, "seconds": harness.summarise(seconds)}


def table(report: dict[str, Any]) -> str:
    """Return the table of the lesson."""
    rows = [f"| changed since the export | {' | '.join(report['seconds'])} |", f"| --- |{' ---: |' * len(CACHES)}"]
    for change in CHANGES:
        cells = (f"{values[change]['median']:.1f} s" for values in report["seconds"].values())
        rows.append(f"| {change} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", describe_environment(report)])


def render(report: dict[str, Any], page: Path) -> None:
    """Write the table into the lesson."""
    page.write_text(replace_between_markers(page.read_text("utf-8"), BEGIN, table(report)), "utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write the results, or only redraw the table."""
    parser = argparse.ArgumentParser(prog="caches", description="Measure builds on a fresh host with exported layers.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="number of rounds (default: 3)")
    parser.add_argument("--render", action="store_true", help="only redraw the table, from docs/caches.json")
    options = parser.parse_args(arguments)
    results_file = DOCS / "caches.json"
    if not options.render:
        results_file.write_text(json.dumps(measure(options.rounds), indent=2) + "\n", "utf-8")
    render(json.loads(results_file.read_text("utf-8")), LESSON / "README.md")


if __name__ == "__main__":
    try:
        main()
    except (harness.CompareError, DockerError, EngineUnavailable, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"caches: {error}")
