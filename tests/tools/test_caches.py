"""The table of lesson 8: builds on a fresh host, with each kind of exported cache."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tools.caches import LESSON, NOTHING, ONE_FILE, render
from tools.compare import DOCS

COMMITTED = json.loads((DOCS / "caches.json").read_text("utf-8"))


def test_committed_table_matches_committed_measurements(tmp_path: Path) -> None:
    page = Path(shutil.copy(LESSON / "README.md", tmp_path))
    render(COMMITTED, page)
    assert page.read_text("utf-8") == (LESSON / "README.md").read_text("utf-8")


def test_only_all_layers_speed_up_a_build_after_a_change() -> None:
    """The lesson says so; the difference is between running all steps and running one."""
    seconds = {
        cache: {change: each["median"] for change, each in values.items()}
        for cache, values in COMMITTED["seconds"].items()
    }
    no_cache, smallest, largest = seconds["no cache"], seconds["`mode=min`"], seconds["`mode=max`"]
    assert smallest[NOTHING] < no_cache[NOTHING] / 2
    assert largest[NOTHING] < no_cache[NOTHING] / 2
    assert smallest[ONE_FILE] > no_cache[ONE_FILE] / 2
    assert largest[ONE_FILE] < no_cache[ONE_FILE] / 2
