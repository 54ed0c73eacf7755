"""Images that podman builds and runs, in a container of the tests' engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Bake, container, copy_project
from tools.engine import Engine

# podman needs no systemd and no cgroups here, and may not raise the limits of the container.
DOCKERFILE = """
FROM {base}
RUN apt-get update && apt-get install --yes --no-install-recommends podman
RUN printf '%s\\n' '[containers]' 'cgroups = "disabled"' 'netns = "host"' 'default_ulimits = ["nofile=1024:1024"]' \
    '[engine]' 'cgroup_manager = "cgroupfs"' 'events_logger = "none"' >/etc/containers/containers.conf
"""

Podman = Callable[..., str]


@pytest.fixture(scope="module")
def podman(engine: Engine, base_image: Any, bake_once: Bake) -> Iterator[Podman]:
    """Return a function that runs podman, of the same Debian release as the base image, and returns its output."""
    base = base_image(bake_once().answers["python_version"])
    tag = f"{base.replace('python', 'podman')}"
    engine.docker("build", "--tag", tag, "-", input=DOCKERFILE.format(base=base))
    # The storage is a volume, because podman cannot mount its layers on those of the container.
    options = ("--privileged", "--volume=/var/lib/containers")
    with container(engine, tag, *options, command=("sleep", "infinity")) as name:

        def run(*command: str, **kwargs: Any) -> str:
            return engine.docker("exec", "--interactive", name, "podman", *command, **kwargs).stdout

        run.container = name
        yield run
