"""A Docker engine and base images for the tests.

The running Docker engine is used. If there is none, and the user is root on Debian, a private engine is started from
Debian packages and stopped at the end. Its downloads are kept in the user's cache directory.
`python -m tools.engine bash` opens a shell with the same engine.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import IO, Any

HOW_TO_GET_AN_ENGINE = "start Docker so that `docker version` succeeds, or run as root on Debian"
# How getaddrinfo and apt report that the name server is unavailable.
NAME_RESOLUTION_ERROR = "Temporary failure (in name resolution|resolving)"
SUBSTITUTE_LABEL = "cookiecutter-multistage-python.stand-in"
DATA_LIMIT_GB = 6
_HERE = Path(__file__).resolve().parent
# Settings that would connect the client to another engine.
_CLIENT_SETTINGS = (
    "BUILDX_BUILDER",
    "DOCKER_API_VERSION",
    "DOCKER_CERT_PATH",
    "DOCKER_CONTEXT",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
)


class EngineUnavailable(Exception):
    """No Docker engine or base image is available. The message is one line that explains how to get one."""


class DockerError(Exception):
    """A docker command failed. The message contains the command and the end of its output."""


@dataclass(frozen=True)
class Engine:
    """A running engine. Commands reach it with the variables in `environment`."""

    environment: dict[str, str]
    private: bool

    def docker(
        self, *arguments: str, check: bool = True, **subprocess_options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker ARGUMENTS`, and capture its output as text.

        Raises DockerError if the command fails, unless `check` is false.
        """
        options = {"env": self.environment, "capture_output": True, "text": True, **subprocess_options}
        command = ["docker", *arguments]
        finished = subprocess.run(command, check=False, **options)
        if check and finished.returncode != 0:
            output = f"{finished.stdout or ''}{finished.stderr or ''}".strip().splitlines()
            message = "\n".join([f"status {finished.returncode}: {shlex.join(command)}", *output[-40:]])
            raise DockerError(message)
        return finished

    def base_image(self, version: str) -> str:
        """Return the tag `python:VERSION-slim` of a local image; if it is missing, pull it or create a substitute.

        Raises EngineUnavailable if the image cannot be obtained.
        """
        tag = f"python:{version}-slim"
        present = self.docker("image", "inspect", tag, check=False).returncode == 0
        official = present and not self.is_substitute(tag)
        pulled = not present and self.docker("pull", "--quiet", tag, check=False).returncode == 0
        if not official and not pulled:
            # The script also replaces an outdated substitute.
            self._create_substitute(version, tag)
        return tag

    def is_substitute(self, base_image: str) -> bool:
        """Return whether a local base image is a substitute for an official one."""
        label = f'{{{{index .Config.Labels "{SUBSTITUTE_LABEL}"}}}}'
        return bool(self.docker("image", "inspect", "--format", label, base_image).stdout.strip())

    def _create_substitute(self, version: str, tag: str) -> None:
        if not _is_root_on_debian():
            message = f"{tag} is missing and could not be pulled, and only root on Debian can create a substitute"
            raise EngineUnavailable(message)
        environment = {**self.environment, "SUBSTITUTE_DIR": str(cache_dir() / "base-images")}
        _run_script([_HERE / "base-image", version], environment)


def cache_dir() -> Path:
    """Return the directory for files that are kept between runs."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "cookiecutter-multistage-python"


def engine_required() -> bool:
    """Return whether tests without an engine must fail instead of being skipped (`REQUIRE_ENGINE=1`)."""
    return os.environ.get("REQUIRE_ENGINE", "0") not in ("", "0")


@contextmanager
def running_engine() -> Iterator[Engine]:
    """Yield the running engine, or a private one, which is stopped by its last user.

    Raises EngineUnavailable if no engine is running and none can be started.
    """
    home = cache_dir() / "engine"
    given = Engine({**os.environ, "DOCKER_BUILDKIT": "1"}, private=False)
    private = Engine(_private_environment(home), private=True)
    # A shell started by `python -m tools.engine` passes the private engine on in its environment.
    is_given = os.environ.get("DOCKER_HOST") != private.environment["DOCKER_HOST"] and is_running(given)
    if not is_given and not _is_root_on_debian():
        message = f"No Docker engine is running: {HOW_TO_GET_AN_ENGINE}."
        raise EngineUnavailable(message)
    engine = given if is_given else private
    with _supervised(engine, home):
        yield engine


@contextmanager
def _supervised(engine: Engine, home: Path) -> Iterator[None]:
    """Start and stop an engine in another process, which also stops it if this one is killed.

    Raises EngineUnavailable if the engine cannot be started.
    """
    kind = "private" if engine.private else "given"
    command = [sys.executable, "-m", f"{__name__}.supervisor", kind, str(home)]
    options: dict[str, Any] = {"cwd": _HERE.parents[1], "env": engine.environment, "text": True}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, **options
    ) as supervisor:
        assert supervisor.stdin
        assert supervisor.stdout
        try:
            reason = supervisor.stdout.readline()
            if reason != "\n":
                raise EngineUnavailable(reason.strip() or "The process that starts the Docker engine failed.")
            yield
        finally:
            supervisor.stdin.close()
            supervisor.wait()


@contextmanager
def start_and_stop(engine: Engine, home: Path) -> Iterator[None]:
    """Start a private engine that is not running; at the end, clean up if this is its last user.

    Raises EngineUnavailable if the engine cannot be started.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / f"{'private' if engine.private else 'given'}-engine.users").open("w") as users:
        try:
            with _engine_lock():
                # Clean up after a killed engine, whose processes and mounts would disturb the next one.
                if engine.private and _is_last_user(users) and not is_running(engine):
                    _stop(home)
                fcntl.flock(users, fcntl.LOCK_SH)
                if engine.private:
                    settings = {"ENGINE_HOME": str(home), "ADDRESS_RANGE": str(_free_address_range(home))}
                    _run_script([_HERE / "start-engine"], {**engine.environment, **settings})
            yield
        finally:
            with _engine_lock():
                if _is_last_user(users):
                    _clean_up(engine, home)


@contextmanager
def second_engine(engine: Engine, *images: str) -> Iterator[Engine]:
    """Yield a second private engine that simulates another host: it contains only the given images.

    Raises EngineUnavailable if the first engine is not private, because only a private one has downloaded the programs.
    """
    if not engine.private:
        message = "Only a private engine includes the programs for a second one: stop Docker, and run as root on Debian"
        raise EngineUnavailable(message)
    # Unix socket paths have a length limit, so avoid a deeply nested directory. Ignore errors when it is removed,
    # because the supervisor is still using it after a second Ctrl-C.
    with tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as directory:
        home = Path(directory) / "engine"
        copy_programs(home)
        second = Engine(_private_environment(home), private=True)
        with _supervised(second, home):
            if images:
                saved = home / "images.tar"
                engine.docker("save", "--output", str(saved), *images)
                second.docker("load", "--input", str(saved))
            yield second


def copy_programs(home: Path) -> None:
    """Copy the programs of the private engine to the directory of another one, as hard links if possible."""
    shutil.copytree(cache_dir() / "engine/root", home / "root", symlinks=True, copy_function=_link_or_copy)
    (home / "config").mkdir()
    (home / "config/cli-plugins").symlink_to(home / "root/usr/libexec/docker/cli-plugins")


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def _engine_lock() -> Iterator[None]:
    """Hold a lock, so that only one process at a time starts or stops an engine."""
    with (cache_dir() / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _free_address_range(home: Path) -> IPv4Network:
    """Return a range that no route uses. A hash selects the first candidate, because two engines may start at once."""
    # These are Docker's default ranges, without those of common cloud networks.
    ranges = [part for number in range(17, 31) for part in IPv4Network(f"172.{number}.0.0/16").subnets(new_prefix=20)]
    first = int(hashlib.sha256(bytes(home)).hexdigest(), 16) % len(ranges)
    used = _routes()
    for candidate in ranges[first:] + ranges[:first]:
        if not any(candidate.overlaps(route) for route in used):
            return candidate
    raise EngineUnavailable("The routes of this host leave no private address range for a Docker engine.")


def _routes() -> list[IPv4Network]:
    """Return the destinations of this host's routes, without the default route."""
    routes = []
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        columns = line.split()
        address, mask = (int(columns[column], 16).to_bytes(4, sys.byteorder) for column in (1, 7))
        routes.append(IPv4Network((address, str(IPv4Address(mask)))))
    return [route for route in routes if route.prefixlen]


def _is_last_user(users: IO[str]) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _clean_up(engine: Engine, home: Path) -> None:
    if engine.private:
        if is_running(engine):
            _limit_disk_use(engine, home)
        _stop(home)
    else:
        # Remove the substitutes, so that nobody mistakes them for official images later.
        substitutes = _substitutes(engine)
        if substitutes:
            engine.docker("image", "rm", *substitutes, check=False)


def _substitutes(engine: Engine) -> list[str]:
    # The label is not enough, because images built from a substitute inherit it.
    filters = ("--filter", f"label={SUBSTITUTE_LABEL}", "--filter", "reference=python:*-slim")
    listed = engine.docker("image", "ls", *filters, "--format", "{{.Repository}}:{{.Tag}}", check=False)
    return listed.stdout.split()


def _limit_disk_use(engine: Engine, home: Path) -> None:
    """Keep base images and a limited build cache; remove everything else."""
    containers = engine.docker("ps", "--all", "--quiet", check=False).stdout.split()
    if containers:
        engine.docker("rm", "--force", "--volumes", *containers, check=False)
    images = engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", check=False).stdout
    built = [line.split()[1] for line in images.splitlines() if not line.startswith("python:")]
    if built:
        engine.docker("image", "rm", "--force", *built, check=False)
    engine.docker("volume", "prune", "--all", "--force", check=False)
    engine.docker("network", "prune", "--force", check=False)
    # BuildKit's limit does not count records that it considers shared, and old buildx versions lack the option.
    for limit in (["--max-used-space=2GB"], []):
        if _gigabytes(home / "data") > DATA_LIMIT_GB:
            engine.docker("builder", "prune", "--all", "--force", *limit, check=False)


def _gigabytes(directory: Path) -> int:
    counted = subprocess.run(["du", "-s", "--block-size=1G", directory], check=False, capture_output=True, text=True)
    return int(counted.stdout.split()[0])


def _stop(home: Path) -> None:
    """Stop the private engine and wait until its processes and mounts are gone."""
    # Read the name first, because an interrupted run may remove the directory of a second engine meanwhile.
    bridge = (home / "bridge").read_text().strip() if (home / "bridge").exists() else None
    for number, timeout in ((signal.SIGTERM, 30), (signal.SIGKILL, 10)):
        # dockerd stops its containerd itself, unless it was killed.
        processes = _processes(home)
        daemons = [pid for pid, name in processes if name == "dockerd"]
        for pid in daemons if daemons and number == signal.SIGTERM else [pid for pid, _ in processes]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + timeout
        while _processes(home) and time.monotonic() < deadline:
            time.sleep(0.05)
    for mount in _mounts(home):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    if bridge:
        subprocess.run(["ip", "link", "delete", bridge], check=False, capture_output=True)
        _remove_rules(bridge)
    for leftover in ("bridge", "dockerd.pid", "docker.sock"):
        (home / leftover).unlink(missing_ok=True)
    # A stale process ID of containerd in this directory would delay the next start by ten seconds.
    shutil.rmtree(home / "exec", ignore_errors=True)


def _remove_rules(bridge: str) -> None:
    """Remove the firewall rules that dockerd leaves for a bridge, because its addresses may be reused."""
    for table in ("filter", "nat", "raw"):
        iptables = ["iptables", "--wait", "--table", table]
        rules = subprocess.run([*iptables, "--list-rules"], check=False, capture_output=True, text=True).stdout
        for rule in rules.splitlines():
            arguments = shlex.split(rule)
            if bridge in arguments:
                subprocess.run([*iptables, "--delete", *arguments[1:]], check=False, capture_output=True)


def _processes(home: Path) -> list[tuple[int, str]]:
    """Return the ID and name of each running process of the engine, without clients."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/exe"):
        with suppress(OSError):
            program = entry.readlink()
            if program.is_relative_to(home / "root") and program.name != "docker":
                found.append((int(entry.parent.name), program.name))
    return found


def _mounts(home: Path) -> list[str]:
    """Return the mount points in the engine's directory, deepest first."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted((point for point in points if Path(point).is_relative_to(home)), reverse=True)


def _private_environment(home: Path) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _CLIENT_SETTINGS}
    programs = [home / "root/usr/sbin", home / "root/usr/bin"]
    path = os.pathsep.join([*map(str, programs), os.environ.get("PATH", os.defpath)])
    own = {"DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": str(home / "config"), "DOCKER_HOST": f"unix://{home}/docker.sock"}
    return {**environment, **own, "PATH": path}


def is_running(engine: Engine) -> bool:
    """Return whether the engine responds."""
    try:
        return engine.docker("version", check=False, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _is_root_on_debian() -> bool:
    if os.geteuid() != 0:
        return False
    with suppress(OSError):
        return "ID=debian" in Path("/etc/os-release").read_text().splitlines()
    return False


def _run_script(command: list[Path | str], environment: dict[str, str]) -> None:
    finished = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if finished.returncode != 0:
        reason = (finished.stderr.strip().splitlines() or [f"{command[0]} failed."])[-1]
        message = f"{reason} Instead, start a Docker engine that can reach a registry."
        raise EngineUnavailable(message)
