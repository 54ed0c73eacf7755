"""Measure each combination of strategy, app and runtime: `python -m tools.combinations [--rounds N] [NAME ...]`.

The explorer of the site shows the results, which are written to docs/combinations.json: the metrics of the generated
project's strategies/compare.py, the layers of each stage, and the copies between them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from tools.compare import DOCS, collect_facts, generate_project, harness
from tools.demo import PYTHON, QUESTIONS, STRATEGIES
from tools.engine import DockerError, Engine, EngineUnavailable, running_engine
from tools.stages import architecture, read_stages

COMBINATIONS = DOCS / "combinations.json"
# The questions, in the order of the names.
CHOICES: dict[str, list[str]] = {"strategy": STRATEGIES, "app": QUESTIONS["app"], "runtime": QUESTIONS["runtime"]}
NAMES = ["-".join(answers) for answers in product(*CHOICES.values())]


def measure_project(engine: Engine, project: Path, names: Sequence[str], rounds: int) -> dict[str, dict[str, Any]]:
    """Measure the strategies of a project, and return the results by the names of the combinations."""
    base = engine.base_image(PYTHON)
    strategies = {name.partition("-")[0]: name for name in names}
    results = harness.measure(harness.Engine(engine.environment), harness.Project.at(project), [*strategies], rounds)
    found: dict[str, dict[str, Any]] = {}
    for strategy, metrics in harness.summarise(results).items():
        dockerfile = project / "strategies" / strategy / "Dockerfile"
        found[strategies[strategy]] = {"metrics": metrics, **read_stages(engine, dockerfile, project, base)}
    return found


def measure(names: Collection[str], rounds: int) -> dict[str, Any]:
    """Measure combinations, and return the report."""
    with tempfile.TemporaryDirectory() as directory, running_engine() as engine:
        # lesson.py finds the engine through the environment.
        os.environ.update(engine.environment)
        facts = collect_facts(engine, engine.base_image(PYTHON), rounds)
        report = {**facts, "architecture": architecture(engine), "combinations": {}}
        for app, runtime in product(CHOICES["app"], CHOICES["runtime"]):
            if chosen := [name for name in NAMES if name in names and name.endswith(f"-{app}-{runtime}")]:
                project = generate_project(Path(directory, f"{app}-{runtime}"), f"app={app}", f"runtime={runtime}")
                report["combinations"] |= measure_project(engine, project, chosen, rounds)
    return report


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="combinations", description="Measure combinations for the explorer.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="number of rounds (default: 3)")
    parser.add_argument("--json", type=Path, default=COMBINATIONS, metavar="FILE", help="write the results to FILE")
    parser.add_argument(
        "names", nargs="*", default=NAMES, metavar="NAME", help="a combination, such as venv-service-slim"
    )
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in NAMES]:
        parser.error(f"{unknown[0]!r} is not a combination. The combinations are {', '.join(NAMES)}.")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Measure the combinations, and write the report."""
    options = parse(arguments)
    report = measure(options.names, options.rounds)
    options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    try:
        main()
    except (harness.CompareError, DockerError, EngineUnavailable, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"combinations: {error}")
