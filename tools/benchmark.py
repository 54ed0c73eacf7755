"""Measure the generated C extension against the google-crc32c package: `python -m tools.benchmark`.

google-crc32c is in no lock file, because nothing else needs it; it is installed in a temporary virtualenv.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tools.demo import generate

GOOGLE_CRC32C = "google-crc32c==1.9.0"

# From 8 KiB on, the C extension releases the GIL, so the sizes just below and at 8 KiB show the cost. The fastest of
# several alternating runs counts, because other programs can only slow a run down.
MEASURE = """
import timeit

import google_crc32c

from checksum_service import crc32c

RUNS = 7
SIZES = {"16 B": 16, "1 KiB": 1 << 10, "8 KiB - 1 B": (1 << 13) - 1, "8 KiB": 1 << 13, "1 MiB": 1 << 20}
print(f"{'size':>12} {'C extension':>15} {'google-crc32c (' + google_crc32c.implementation + ')':>22}   ratio")
for name, size in SIZES.items():
    data = bytes(size)
    assert crc32c(data) == google_crc32c.value(data)
    timers = [timeit.Timer(lambda f=f: f(data)) for f in (crc32c, google_crc32c.value)]
    calls = max(timer.autorange()[0] for timer in timers) // 4 or 1
    runs = [[timer.timeit(calls) / calls for timer in timers] for _ in range(RUNS)]
    native, google = (min(times) * 1e9 for times in zip(*runs))
    print(f"{name:>12} {native:12,.0f} ns {google:19,.0f} ns {native / google:7.2f}")
"""


def main() -> None:
    """Generate a project, install it with google-crc32c, and print the time of a call for several sizes."""
    with tempfile.TemporaryDirectory() as directory:
        project = generate(Path(directory), "app=cli")
        python = project / ".venv/bin/python"
        subprocess.run([sys.executable, "-m", "venv", project / ".venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", ".", GOOGLE_CRC32C], cwd=project, check=True)
        subprocess.run([python, "-c", MEASURE], cwd=directory, check=True)


if __name__ == "__main__":
    main()
