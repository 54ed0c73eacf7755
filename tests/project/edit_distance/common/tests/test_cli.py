"""The command line."""

import subprocess
import sys

from acme import __version__


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "acme", *arguments], capture_output=True, text=True, check=False)


def test_distance_is_printed():
    result = run("distance", "kitten", "sitting")
    assert (result.returncode, result.stdout) == (0, "3\n")


def test_version_is_printed():
    assert run("--version").stdout.endswith(f" {__version__}\n")
