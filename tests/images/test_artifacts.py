"""Artifacts of wheels, pex and platter, and the platter installer on a host without a network."""

from __future__ import annotations

import subprocess
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import APPS, CHECKSUM, DIGITS, Bake, Build, attempts, weekly_after
from tools.engine import Engine

OUTPUT = f"{CHECKSUM}  -\n"
DONE = "Installed into /tmp/venv.\n"


@dataclass(frozen=True)
class Host:
    """A host with Python and no network, and the artifacts of a build in /artifacts."""

    engine: Engine
    base: str
    artifacts: Path

    def run(self, script: str, *options: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run a shell script on the host as an ordinary user; /tmp is writable."""
        mount = f"--mount=type=bind,source={self.artifacts},target=/artifacts,readonly"
        fixed = ("run", "--rm", "--interactive", "--network=none", "--user=12345:0", "--env=HOME=/tmp", mount)
        return self.engine.docker(*fixed, *options, self.base, "sh", "-euc", script, check=False, **kwargs)


@pytest.fixture(scope="module")
def create_host(bake_once: Bake, build: Build, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that exports a strategy's artifacts."""

    def export(strategy: str, app: str) -> Host:
        image = build(bake_once(project_slug="acme-sums", strategy=strategy, app=app))
        directory = tmp_path_factory.mktemp(strategy)
        image.engine.docker("build", "--target", "artifacts", "--output", str(directory), str(image.project.path))
        directory.chmod(0o755)
        return Host(image.engine, image.base, directory)

    return export


# A command has no dependencies.
@pytest.mark.parametrize("app", weekly_after(1, APPS))
def test_wheels_install_without_network(create_host: Any, app: str) -> None:
    host = create_host("wheels", app)
    assert all(path.suffix == ".whl" for path in host.artifacts.iterdir() if path.is_file() and path.name[0] != ".")
    install = "python -m venv /tmp/venv && /tmp/venv/bin/pip install -q --no-index --find-links /artifacts acme-sums"
    result = host.run(f"{install} && /tmp/venv/bin/acme-sums crc32c", input=DIGITS)
    assert (result.returncode, result.stdout) == (0, OUTPUT), result.stderr


@pytest.mark.parametrize("app", weekly_after(1, APPS))
def test_pex_is_one_executable_file(create_host: Any, app: str) -> None:
    host = create_host("pex", app)
    assert [path.name for path in host.artifacts.iterdir()] == ["acme-sums.pex"]
    result = host.run("/artifacts/acme-sums.pex crc32c", input=DIGITS)
    assert (result.returncode, result.stdout) == (0, OUTPUT), result.stderr


UNPACK = "tar -xf /artifacts/*.tar.gz -C /tmp; cd /tmp/acme_sums-*; "


@pytest.fixture(scope="module")
def bundle(create_host: Any) -> Host:
    """Return a host with the bundle of a service, which contains dependencies."""
    host: Host = create_host("platter", "service")
    return host


@pytest.fixture(scope="module")
def small_bundle(create_host: Any) -> Host:
    """Return a host with a bundle that contains only the project, for what does not depend on its wheels."""
    host: Host = create_host("platter", "cli")
    return host


def test_bundle_is_one_tarball(bundle: Host) -> None:
    (path,) = bundle.artifacts.iterdir()
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"install.sh", "requirements.txt", "SHA256SUMS", "PLATFORM", "wheels"} <= names
    assert path.name.startswith("acme_sums-0.1.0-cp")


@pytest.mark.parametrize("kind", ["bundle", "small_bundle"])
def test_bundle_installs_repeatedly_without_network(request: pytest.FixtureRequest, kind: str) -> None:
    bundle: Host = request.getfixturevalue(kind)
    install = "sh install.sh '/tmp/a venv'; sh install.sh '/tmp/a venv'; "
    result = bundle.run(f"{UNPACK}{install}'/tmp/a venv/bin/acme-sums' crc32c", input=DIGITS)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "Installed into /tmp/a venv.\n" * 2 + OUTPUT


def test_bundle_installs_without_pip(bundle: Host) -> None:
    directory = 'python -c "import os, $name; print(os.path.dirname($name.__file__))"'
    remove = f'for name in pip ensurepip; do rm -r "$({directory})"; done; '
    check = "! python -m pip --version 2>/dev/null; "
    install = "sh install.sh /tmp/venv; /tmp/venv/bin/acme-sums crc32c"
    result = bundle.run(f"{UNPACK}{remove}{check}{install}", "--user=0", input=DIGITS)
    assert (result.returncode, result.stdout) == (0, DONE + OUTPUT), result.stderr


# A module that reports its import, for each name in the standard library and for pip.
HOSTILE = """
import pathlib, sys
pathlib.Path("/tmp/hostile").mkdir()
for name in {*sys.stdlib_module_names, "pip", "sitecustomize", "usercustomize"}:
    pathlib.Path(f"/tmp/hostile/{name}.py").write_text("open('/tmp/imported', 'a').write(__name__ + ' ')")
"""
# Where Python finds modules: the user's packages, the current directory, and what the environment names.
PLACES = (
    'site=$(python -c "import site; print(site.getusersitepackages())"); '
    'mkdir -p "$(dirname "$site")"; cp -r /tmp/hostile "$site"; '
    "cd /tmp/hostile; export PYTHONPATH=/tmp/hostile PYTHONHOME=/tmp/hostile; "
)


@pytest.mark.attack
def test_installer_ignores_hostile_modules(small_bundle: Host) -> None:
    write = f"python -I - <<'EOF'\n{HOSTILE}EOF\n"
    # Twice, because the second run starts the interpreter of the virtualenv as well.
    install = "for run in 1 2; do sh /tmp/acme_sums-*/install.sh /tmp/venv; done; cat /tmp/imported || true"
    result = small_bundle.run(f"{UNPACK}{write}{PLACES}{install}")
    assert (result.returncode, result.stdout) == (0, DONE * 2), result.stderr


def test_interrupted_installation_is_repaired(bundle: Host) -> None:
    interrupt = (
        "sh install.sh /tmp/venv; touch /tmp/venv/.incomplete; "
        "cd /tmp/venv/lib/python3*/site-packages; rm acme_sums/cli.py; rm -r *.dist-info; cd /tmp/acme_sums-*; "
    )
    result = bundle.run(f"{UNPACK}{interrupt}sh install.sh /tmp/venv; /tmp/venv/bin/acme-sums crc32c", input=DIGITS)
    assert (result.returncode, result.stdout) == (0, DONE * 2 + OUTPUT), result.stderr


def test_killed_installation_is_repaired(bundle: Host) -> None:
    kill = (
        "setsid sh install.sh /tmp/venv & until test -e /tmp/venv/bin/python; do sleep 0.01; done; "
        "kill -9 -$!; wait || true; test -e /tmp/venv/.incomplete; "
    )
    result = bundle.run(f"{UNPACK}{kill}sh install.sh /tmp/venv; /tmp/venv/bin/acme-sums crc32c", input=DIGITS)
    assert (result.returncode, result.stdout) == (0, DONE + OUTPUT), result.stderr


BROKEN = {
    "no virtualenv": "touch /tmp/venv/.incomplete",
    "no interpreter": "touch /tmp/venv/.incomplete; ln -s /none /tmp/venv/bin/python",
    "an interpreter that does not start": "touch /tmp/venv/.incomplete; install /dev/null /tmp/venv/bin/python",
}


@pytest.mark.parametrize("state", BROKEN)
def test_interrupted_creation_of_the_virtualenv_is_repaired(small_bundle: Host, state: str) -> None:
    repair = "sh install.sh /tmp/venv; /tmp/venv/bin/acme-sums crc32c"
    result = small_bundle.run(f"{UNPACK}mkdir -p /tmp/venv/bin; {BROKEN[state]}; {repair}", input=DIGITS)
    assert (result.returncode, result.stdout) == (0, DONE + OUTPUT), result.stderr


# Divide the time that an installation takes into COUNT parts, kill one installation at a random moment of each, and
# repeat it. Print each that was killed.
# The first installation takes longer than the others, because it reads the bundle from the disk.
KILLS = """
sh install.sh /tmp/first >/tmp/log
began=$(date +%s%N)
sh install.sh /tmp/whole >/tmp/log
milliseconds=$((($(date +%s%N) - began) / 1000000))
for number in $(seq $COUNT); do
  pause=$((milliseconds * (number - 1) / COUNT + $(od -An -N4 -tu4 /dev/urandom) % (milliseconds / COUNT + 1)))
  setsid sh install.sh /tmp/venv$number >/tmp/log 2>&1 & sleep $(printf '%d.%03d' $((pause / 1000)) $((pause % 1000)))
  kill -9 -$! 2>/dev/null || true
  wait || true
  test ! -e /tmp/venv$number/.incomplete || echo killed
  sh install.sh /tmp/venv$number
  echo 123456789 | tr -d '\\n' | /tmp/venv$number/bin/acme-sums crc32c
  rm -rf /tmp/venv$number
done
"""


@pytest.mark.attack
def test_installation_killed_at_any_moment_can_be_repeated(small_bundle: Host) -> None:
    count = attempts(4, 200)
    result = small_bundle.run(f"{UNPACK}COUNT={count}; {KILLS}")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines(keepends=True)
    print("killed", lines.count("killed\n"), "of", count)
    assert lines.count("killed\n") > count / 4
    assert lines.count(OUTPUT) == len([line for line in lines if line.startswith("Installed into ")]) == count


def test_program_of_another_user_runs_after_a_restrictive_umask(small_bundle: Host) -> None:
    script = (
        "umask 077; sh install.sh /tmp/venv; setpriv --reuid 12345 --clear-groups /tmp/venv/bin/acme-sums --version"
    )
    result = small_bundle.run(UNPACK + script, "--user=0")
    assert (result.returncode, result.stdout) == (0, f"{DONE}acme-sums 0.1.0\n"), result.stderr


def create_fake_interpreter(path: str, interpreter: str, machine: str) -> str:
    """Return a command that creates a fake interpreter, which reports the given version and platform."""
    return f"printf '#!/bin/sh\\necho {interpreter}\\necho {machine}\\n' > {path}; chmod +x {path}; "


FAULTS = {
    "no argument": ("sh install.sh", 2, "usage: sh install.sh TARGET"),
    "an option": ("sh install.sh --help", 2, "usage: sh install.sh TARGET"),
    "a colon": ("sh install.sh /tmp/a:b", 1, "the path of a virtualenv must not contain a colon"),
    "a line break": ("sh install.sh '/tmp/a\nb'", 1, "the path of a virtualenv must not contain a colon, a line break"),
    "a quote": ("sh install.sh '/tmp/a \"b'", 1, "the path of a virtualenv must not contain a colon, a line break"),
    "a dollar sign": ("sh install.sh '/tmp/a $HOME'", 1, 'or one of " $ ` \\; choose another path'),
    "no PLATFORM": ("rm PLATFORM; sh install.sh /tmp/venv", 1, "PLATFORM is missing from the bundle"),
    "free-threaded": (
        create_fake_interpreter("/tmp/fake", "CPython 3.14t", "linux-x86_64 glibc")
        + "PYTHON=/tmp/fake sh install.sh /tmp/venv",
        1,
        "/tmp/fake is CPython 3.14t, but the bundle needs CPython 3.14; set PYTHON",
    ),
    "no Python": (
        "mkdir /tmp/bin; for tool in cat dirname sed cut; do ln -s $(command -v $tool) /tmp/bin; done; "
        "PATH=/tmp/bin /bin/sh install.sh /tmp/venv",
        1,
        "no Python found; install Python 3.14, or set PYTHON to its path",
    ),
    "wrong version": (
        create_fake_interpreter("/tmp/fake", "CPython 3.9", "linux-x86_64 glibc")
        + "PYTHON=/tmp/fake sh install.sh /tmp/venv",
        1,
        "/tmp/fake is CPython 3.9, but the bundle needs CPython 3.14; set PYTHON to its path",
    ),
    "wrong platform": (
        create_fake_interpreter("/tmp/fake", "CPython 3.14", "linux-aarch64 without glibc")
        + "PYTHON=/tmp/fake sh install.sh /tmp/venv",
        1,
        "this host is linux-aarch64 without glibc, but the bundle is for linux-x86_64 glibc",
    ),
    "not a Python": ("PYTHON=/bin/false sh install.sh /tmp/venv", 1, "/bin/false does not run; set PYTHON"),
    "damaged wheel": (
        "printf x >> $(ls wheels/*.whl | head -1); sh install.sh /tmp/venv",
        1,
        "the bundle is damaged: wheels/",
    ),
    "missing wheel": ("rm wheels/acme_sums*; sh install.sh /tmp/venv", 1, "the bundle is damaged: "),
    "not writable": ("sh install.sh /opt/venv", 1, "cannot write to /opt/venv; choose another directory"),
    "in use": (
        "mkdir /tmp/mine; touch /tmp/mine/x; sh install.sh /tmp/mine",
        1,
        "/tmp/mine exists and is not a virtualenv",
    ),
    "a file": ("touch /tmp/mine; sh install.sh /tmp/mine", 1, "/tmp/mine exists and is not a virtualenv"),
    "other Python's venv": (
        "mkdir -p /tmp/venv/bin; touch /tmp/venv/pyvenv.cfg; "
        + create_fake_interpreter("/tmp/venv/bin/python", "CPython 3.9", "linux-x86_64 glibc")
        + "sh install.sh /tmp/venv",
        1,
        "/tmp/venv was created by a different Python; delete it, or choose another directory",
    ),
}


@pytest.mark.attack
@pytest.mark.parametrize("fault", FAULTS)
def test_installer_prints_one_line_error(small_bundle: Host, fault: str) -> None:
    script, status, message = FAULTS[fault]
    result = small_bundle.run(UNPACK + script)
    assert message in result.stderr
    assert result.stderr.startswith("install.sh: ")
    assert len(result.stderr.splitlines()) == 1
    assert result.returncode == status
    assert "Installed" not in result.stdout


def test_installer_reports_the_required_python_version(small_bundle: Host, base_image: Any) -> None:
    other = replace(small_bundle, base=base_image("3.13"))
    result = other.run(f"{UNPACK}sh install.sh /tmp/venv")
    assert result.returncode == 1
    assert result.stderr.endswith(
        "python3 is CPython 3.13, but the bundle needs CPython 3.14; set PYTHON to its path.\n"
    )


def test_rejected_installation_keeps_existing_files(small_bundle: Host) -> None:
    script = "mkdir /tmp/mine; echo mine > /tmp/mine/x; sh install.sh /tmp/mine || ls -A /tmp/mine; cat /tmp/mine/x"
    assert small_bundle.run(UNPACK + script).stdout == "x\nmine\n"
