"""Images that podman builds and runs, in a container of the tests' engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.conftest import HARDENED, QUESTIONS, Bake, Project, container, copy_project, wait_until
from tools.engine import Engine

# Debian's podman of the base image's release. In a container, it may not manage cgroups or raise limits.
DOCKERFILE = r"""
FROM {base}
RUN apt-get update && apt-get install --yes --no-install-recommends podman
COPY <<"SETTINGS" /etc/containers/containers.conf
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
SETTINGS
"""


@dataclass(frozen=True)
class Podman:
    """Podman in a container."""

    engine: Engine
    container: str

    def run(self, *command: str, check: bool = True) -> CompletedProcess[str]:
        """Run `podman COMMAND`; raise DockerError if it fails, unless `check` is false."""
        return self.engine.docker("exec", self.container, "podman", *command, check=check)

    def build(self, project: Project, *options: str) -> None:
        """Build an image from a copy of the project."""
        self.engine.docker("exec", self.container, "rm", "-rf", "/project")
        self.engine.docker("cp", str(project.path), f"{self.container}:/project")
        self.run("build", "--format=docker", *options, "/project")


@pytest.fixture(scope="module")
def podman(engine: Engine, base_image: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Start a container with podman, which has only the base image."""
    base, tag = base_image(QUESTIONS["python_version"][0]), f"test-{os.getpid()}-podman"
    engine.docker("build", "--tag", tag, "-", input=DOCKERFILE.format(base=base))
    saved = tmp_path_factory.mktemp("base") / "base.tar"
    engine.docker("save", "--output", str(saved), base)
    # The storage is a volume, because podman cannot store layers in the layers of a container.
    with container(engine, tag, "--privileged", "--volume=/var/lib/containers", command=("sleep", "inf")) as name:
        engine.docker("cp", str(saved), f"{name}:/base.tar")
        podman = Podman(engine, name)
        podman.run("load", "--input=/base.tar")
        yield podman
    engine.docker("image", "rm", tag, check=False)


def test_podman_image_is_healthy_and_contains_changes(podman: Podman, bake_once: Bake, tmp_path: Any) -> None:
    # Most steps of this strategy's runtime-image only mount files from other stages.
    strategy = "wheels"
    project = copy_project(bake_once(project_slug="acme-sums", strategy=strategy, app="service"), tmp_path)
    podman.build(project, f"--tag={strategy}")
    podman.run("run", "--detach", f"--name={strategy}", *HARDENED, strategy)
    wait_until(lambda: podman.run("healthcheck", "run", strategy, check=False).returncode == 0)
    podman.run("rm", "--force", strategy)
    project.edit("src/acme_sums/__init__.py", '"0.1.0"', '"0.2.0"')
    # Podman may reuse outdated layers of runtime-image if compile-image is already in its cache.
    podman.build(project, "--target=compile-image")
    podman.build(project, f"--tag={strategy}")
    assert podman.run("run", "--rm", strategy, "acme-sums", "--version").stdout == "acme-sums 0.2.0\n"
