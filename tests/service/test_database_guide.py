"""docs/guides/database-worker-secret.md: the steps of the page are followed, and the result runs with PostgreSQL."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from tests.conftest import TEMPLATE, TOOLS, Bake, Project, copy_project, wait_until, weekly_after
from tests.project.test_pre_commit import Hooks, hooks
from tests.service.test_deploy import BASE, PRODUCTION, Manifests, follows_the_schemas, is_restricted, render
from tools.engine import Engine, EngineUnavailable
from tools.engine.fixtures import skip_or_fail

__all__ = ["hooks"]

PAGE = (TEMPLATE / "docs/guides/database-worker-secret.md").read_text("utf-8")
# A block, and the name of its file, which is the last word of the paragraph above it.
BLOCK = re.compile(r"(?:`([^`\n]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.M | re.S)
COMMANDS = re.findall(r"^\$ (.+)$", PAGE, re.M)
SECRET = "deploy/secrets/ACME_SUMS_DATABASE_PASSWORD"
# A substitute for the official image, from Debian's packages. It supports only the variables that the page sets.
POSTGRES = r"""
FROM {base}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql \
    && ln -s /usr/lib/postgresql/*/bin /usr/local/postgresql
ENV PATH=/usr/local/postgresql:$PATH
COPY --chmod=755 <<'EOT' /usr/local/bin/start-postgres
#!/bin/sh
set -eu
data=/var/lib/postgresql/data
if [ ! -e $data ]; then
  initdb --auth=scram-sha-256 --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" $data.new
  echo 'host all all all scram-sha-256' >>$data.new/pg_hba.conf
  echo "CREATE DATABASE $POSTGRES_USER" | postgres --single -D $data.new postgres
  mv $data.new $data
fi
exec postgres -D $data -c listen_addresses='*' -c unix_socket_directories=/tmp
EOT
USER postgres
STOPSIGNAL SIGINT
ENTRYPOINT ["start-postgres"]
"""
# Other names for the images, and a free port.
OVERRIDE = """
services:
  acme-sums: { image: test-guide, ports: !override ["127.0.0.1::8000"] }
  worker: { image: test-guide }
  migrate: { image: test-guide }
  database: { image: test-guide-postgres }
"""
# Print how many bytes the worker processes per second.
SPEED = """
import time
from acme_sums.worker import BLOCK, crc32c
start = time.perf_counter()
for _ in range(500):
    crc32c(BLOCK)
print(round(500 * len(BLOCK) / (time.perf_counter() - start)))
"""


def apply_hunk(project: Project, name: str, lines: list[str]) -> None:
    """Change a file that contains the other lines exactly once, or append to it if there are none."""
    assert {line[0] for line in lines} <= set(" +-"), lines
    before = project.read(name)
    old, new = ("".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +"))
    assert before.count(old) == 1 or not old, (name, old)
    after = before.replace(old, new) if old else before + new
    (project.path / name).write_text(after, "utf-8")


def follow_page(project: Project) -> None:
    """Write the files of the page, and apply its changes to generated files."""
    name = ""
    for file, language, text in BLOCK.findall(PAGE):
        name = file or name
        if language == "diff":
            for hunk in text.split("@@\n"):
                apply_hunk(project, name, hunk.splitlines(keepends=True))
        elif language != "console":
            path = project.path / name
            assert not path.exists() or name == "src/acme_sums/settings.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")


def command_of(start: str) -> str:
    """Return the only command of the page that starts with this text."""
    (command,) = (command for command in COMMANDS if command.startswith(start))
    return str(command)


def run(project: Project, command: str, **environment: str) -> str:
    """Run a shell command in the project, and return its output."""
    # Plain progress shows the errors of a build's steps, so that a test can be run again if the network failed.
    environment = {**os.environ, "BUILDKIT_PROGRESS": "plain", **environment}
    result = project.run("bash", "-euc", command, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def unlocked_project(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a service to which the files of the page were added."""
    project = copy_project(bake_once(project_slug="acme-sums", app="service"), tmp_path_factory.mktemp("guide"))
    follow_page(project)
    for start in ("mkdir", "openssl"):
        run(project, command_of(start))
    return project


@pytest.fixture(scope="module")
def project(unlocked_project: Project, index: None) -> Project:  # noqa: ARG001
    """Return the same service, with lock files that contain its dependencies."""
    run(unlocked_project, command_of("make lock"))
    return unlocked_project


def test_every_command_of_the_page_is_run() -> None:
    starts = ("make lock", "mkdir", "openssl", "docker compose", "curl", "kubectl")
    assert [command for command in COMMANDS if not command.startswith(starts)] == []


# Other tests run tests/service, which the page does not change.
TARGETS = ["types", "contract", "test ARGS=--ignore=tests/service", "coverage"]


@pytest.mark.parametrize("target", weekly_after(3, TARGETS))
def test_make_target_passes_without_a_database(project: Project, target: str) -> None:
    if not shutil.which("pg_config"):
        pytest.skip("the page needs libpq-dev; install it")
    run(project, f"make {target}", PYTEST_ADDOPTS="-p no:cacheprovider")


def test_hooks_pass(unlocked_project: Project, hooks: Hooks) -> None:
    result = hooks(unlocked_project)
    assert result.returncode == 0, result.stdout


def pods_of(manifests: Manifests) -> dict[str, Any]:
    """Return the pod template of each Deployment and Job, by name."""
    found = manifests.all("Deployment") + manifests.all("Job")
    return {item["metadata"]["name"]: item["spec"]["template"] for item in found}


@pytest.mark.parametrize("directory", [BASE, PRODUCTION])
def test_manifests_are_valid_and_restricted(unlocked_project: Project, directory: str) -> None:
    manifests = render(unlocked_project, directory)
    follows_the_schemas(manifests)
    pods = pods_of(manifests)
    assert pods.keys() == {"acme-sums", "acme-sums-worker", "acme-sums-migrate"}
    settings = manifests.one("ConfigMap")["metadata"]["name"]
    for template in pods.values():
        is_restricted(template["spec"])
        (container,) = template["spec"]["containers"]
        assert {"configMapRef": {"name": settings}} in container["envFrom"]
        assert {"secretRef": {"name": "acme-sums", "optional": True}} in container["envFrom"]
        assert container["resources"]["limits"] == {"memory": container["resources"]["requests"]["memory"]}
    assert len({template["spec"]["containers"][0]["image"] for template in pods.values()}) == 1


def test_manifests_select_the_right_pods(unlocked_project: Project) -> None:
    manifests = render(unlocked_project, PRODUCTION)
    labels = {name: template["metadata"]["labels"] for name, template in pods_of(manifests).items()}
    selectors = {item["metadata"]["name"]: item["spec"]["selector"] for item in manifests.all("Deployment")}
    selectors = {name: selector["matchLabels"] for name, selector in selectors.items()}
    for name, selector in {**selectors, "acme-sums": manifests.one("Service")["spec"]["selector"]}.items():
        assert [pod for pod, found in labels.items() if selector.items() <= found.items()] == [name]
    policies = {item["metadata"]["name"]: item["spec"] for item in manifests.all("NetworkPolicy")}
    (expression,) = policies["acme-sums-database"]["podSelector"]["matchExpressions"]
    assert expression["key"] == "app.kubernetes.io/name"
    assert {found["app.kubernetes.io/name"] for found in labels.values()} == set(expression["values"])


def test_network_policy_allows_dns_and_database(unlocked_project: Project) -> None:
    manifests = render(unlocked_project, PRODUCTION)
    policies = {item["metadata"]["name"]: item["spec"] for item in manifests.all("NetworkPolicy")}
    policy = policies["acme-sums-database"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    ports = [[(port["port"], port.get("protocol", "TCP")) for port in rule["ports"]] for rule in policy["egress"]]
    assert ports == [[(53, "UDP"), (53, "TCP")], [(5432, "TCP")]]
    assert all(rule["to"] for rule in policy["egress"])
    url = manifests.one("ConfigMap")["data"]["ACME_SUMS_DATABASE_URL"]
    (database,) = (peer["namespaceSelector"]["matchLabels"] for peer in policy["egress"][1]["to"])
    assert url.split("@")[1].split("/")[0].split(".")[1] == database["kubernetes.io/metadata.name"]


def test_kubernetes_commands_apply_the_deployments_last(unlocked_project: Project) -> None:
    manifests = render(unlocked_project, PRODUCTION)
    first, last = (command for command in COMMANDS if command.startswith("kubectl apply -k"))
    assert PRODUCTION in last
    assert "--selector" not in last
    label = re.search(r"--selector '!(\S+)'", first)
    assert label
    excluded = [item for item in manifests.objects if label[1] in item["metadata"]["labels"]]
    assert excluded == manifests.all("Deployment")
    names = {f"{item['kind'].lower()}/{item['metadata']['name']}" for item in manifests.all("Job")}
    assert names == {word for word in shlex.split(command_of("kubectl --namespace acme-sums wait")) if "/" in word}


def test_kubernetes_secret_contains_the_password_as_a_setting(unlocked_project: Project) -> None:
    command = command_of("kubectl --namespace acme-sums create secret")
    path = f"{TOOLS}:{os.environ['PATH']}"
    created = yaml.safe_load(run(unlocked_project, f"{command} --dry-run=client --output=yaml", PATH=path))
    assert created["metadata"]["name"] == "acme-sums"
    password = base64.b64decode(created["data"]["ACME_SUMS_DATABASE_PASSWORD"]).decode()
    assert password == unlocked_project.read(SECRET)
    assert re.fullmatch(r"[0-9a-f]{32}", password)


@dataclass(frozen=True)
class Stack:
    """The service, the worker, the migration and PostgreSQL, started by the page's command."""

    engine: Engine
    project: Project
    override: Path

    def compose(self, *arguments: str, check: bool = True) -> CompletedProcess[str]:
        """Run `docker compose` with the files that the page names."""
        files = re.findall(r"--file \S+", command_of("docker compose"))
        # Plain progress shows the errors of a build's steps, so that a test can be run again if the network failed.
        options = ("--progress=plain", "--project-name=test-guide", *shlex.split(" ".join(files)), "--file")
        command = ("compose", *options, str(self.override), *arguments)
        return self.engine.docker(*command, check=check, cwd=self.project.path)

    def start(self) -> CompletedProcess[str]:
        """Start everything as the page does."""
        _, _, options = command_of("docker compose").rpartition(" up ")
        return self.compose("up", *shlex.split(options), check=False)

    def inspect(self, service: str, part: str) -> Any:
        """Return a field of `docker inspect` for the container of a service."""
        name = self.compose("ps", "--all", "--quiet", service).stdout.strip()
        return json.loads(self.engine.docker("inspect", "--format", f"{{{{json .{part}}}}}", name).stdout)

    def logs(self, *services: str) -> str:
        """Return the logs of some services, or of all."""
        return self.compose("logs", "--no-log-prefix", *services).stdout

    def logs_and_configurations(self) -> list[str]:
        """Return the logs and the configuration of every container."""
        logs = [self.logs(name) for name in ("acme-sums", "worker", "migrate", "database")]
        containers = self.compose("ps", "--all", "--quiet").stdout.split()
        assert len(containers) == len(logs)
        assert all(logs)
        return [*logs, *(self.engine.docker("inspect", name).stdout for name in containers)]

    def wait_for_log(self, service: str, message: str) -> None:
        """Wait until a service has logged a message."""
        wait_until(lambda: message in self.logs(service), message)

    @property
    def address(self) -> str:
        """The address at which the service is published."""
        return f"http://{self.compose('port', 'acme-sums', '8000').stdout.strip()}"

    def post_job(self, size: int) -> Any:
        """Return the response to the page's command, with another size."""
        command = command_of("curl").replace("http://localhost:8000", self.address)
        assert command.count("1000000000") == 1
        return json.loads(run(self.project, command.replace("1000000000", str(size)), no_proxy="*"))

    def create_job(self, size: int) -> str:
        """Create a job, and return its ID."""
        job = self.post_job(size)
        assert job == {"id": job.get("id"), "bytes": size, "crc32c": None}
        return str(job["id"])

    def checksum(self, job: str) -> str | None:
        """Return the checksum of a job, or None if it is not finished."""
        with urllib.request.urlopen(f"{self.address}/jobs/{job}", timeout=30) as response:
            value: str | None = json.load(response)["crc32c"]
            return value

    def wait_for_checksum(self, job: str) -> str:
        """Return the checksum of a job when it is finished."""
        wait_until(lambda: self.checksum(job) is not None, f"job {job} is finished")
        return str(self.checksum(job))

    def expected(self, size: int) -> str:
        """Compute a checksum without a job."""
        script = f"head -c {size} /dev/zero | acme-sums crc32c"
        return self.compose("exec", "--no-TTY", "acme-sums", "sh", "-c", script).stdout.split()[0]

    def job_size(self) -> int:
        """Return the size of a job that takes ten seconds, longer than several commands of `docker compose`."""
        speed = self.compose("exec", "--no-TTY", "worker", "python", "-c", SPEED).stdout
        return int(float(speed) * 10)


@pytest.fixture(scope="module")
def stack(
    project: Project, engine: Engine, base_image: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    if engine.docker("compose", "version", check=False).returncode != 0:
        skip_or_fail(EngineUnavailable("`docker compose` is not available. Install the Docker Compose plugin."))
    base = base_image(project.answers["python_version"])
    engine.docker("build", "--tag", "test-guide-postgres", "-", input=POSTGRES.replace("{base}", base))
    override = tmp_path_factory.mktemp("compose") / "override.yaml"
    override.write_text(OVERRIDE, "utf-8")
    stack = Stack(engine, project, override)
    try:
        started = stack.start()
        assert started.returncode == 0, started.stderr + stack.logs()
        yield stack
    finally:
        stack.compose("down", "--volumes")
        engine.docker("image", "rm", "test-guide", "test-guide-postgres", check=False)


def test_migration_finishes_before_the_service_starts(stack: Stack) -> None:
    migration, service = (stack.inspect(name, "State") for name in ("migrate", "acme-sums"))
    assert migration["ExitCode"] == 0
    assert migration["FinishedAt"] < service["StartedAt"]
    assert stack.logs("migrate").count("applied 0001_jobs.sql") == 1


def test_migration_runs_only_once(stack: Stack) -> None:
    again = stack.compose("run", "--rm", "migrate")
    assert "applied" not in again.stdout + again.stderr


def test_job_is_stored_and_processed(stack: Stack) -> None:
    for size in (9, 10**9):
        assert stack.wait_for_checksum(stack.create_job(size)) == stack.expected(size)


def test_unknown_job_returns_404(stack: Stack) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        stack.checksum("00000000-0000-4000-8000-000000000000")
    error.value.close()
    assert error.value.code == 404


def test_worker_has_its_own_health_check(stack: Stack) -> None:
    assert stack.inspect("worker", "State.Health.Status") == "healthy"
    _, script = stack.inspect("worker", "Config.Healthcheck.Test")
    check = ("exec", "--no-TTY", "worker", "sh", "-c")
    assert stack.compose(*check, script).returncode == 0
    # The same command as in the liveness probe.
    probe = pods_of(render(stack.project, BASE))["acme-sums-worker"]["spec"]["containers"][0]["livenessProbe"]
    assert probe["exec"]["command"] == ["sh", "-c", script]
    # A worker that has made no progress for longer than the limit is unhealthy.
    stack.compose("kill", "--signal", "STOP", "worker")
    stack.compose(*check, "touch --date '11 minutes ago' /tmp/worker-alive")
    assert stack.compose(*check, script, check=False).returncode == 1
    stack.compose("kill", "--signal", "CONT", "worker")
    wait_until(lambda: stack.compose(*check, script, check=False).returncode == 0, "the worker is healthy")


def test_all_programs_are_hardened(stack: Stack) -> None:
    for name in ("acme-sums", "worker", "migrate"):
        host = stack.inspect(name, "HostConfig")
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert (host["PortBindings"] != {}) == (name == "acme-sums")


def test_sigterm_lets_the_worker_finish_its_job(stack: Stack) -> None:
    size = stack.job_size()
    job = stack.create_job(size)
    stack.wait_for_log("worker", f"job {job} started")
    assert stack.checksum(job) is None
    stack.compose("stop", "worker")
    assert stack.inspect("worker", "State.ExitCode") == 0
    assert stack.checksum(job) == stack.expected(size)
    stack.compose("start", "worker")


def test_killed_worker_loses_no_job(stack: Stack) -> None:
    job = stack.create_job(stack.job_size())
    stack.wait_for_log("worker", f"job {job} started")
    # SIGTERM, and SIGKILL after a second, as at the end of the grace period.
    stack.compose("stop", "--timeout", "1", "worker")
    assert stack.inspect("worker", "State.ExitCode") == 137
    assert stack.checksum(job) is None
    stack.compose("start", "worker")
    stack.wait_for_checksum(job)
    assert stack.logs("worker").count(f"job {job} started") == 2
    assert stack.logs("worker").count(f"job {job} finished") == 1


def test_restarted_database_is_used_again(stack: Stack) -> None:
    # Open connections, which the restart breaks.
    stack.wait_for_checksum(stack.create_job(9))
    stack.compose("stop", "database")
    assert stack.post_job(9)["status"] == 503
    stack.compose("start", "database")
    wait_until(lambda: stack.inspect("database", "State.Health.Status") == "healthy", "the database is healthy")
    stack.wait_for_checksum(stack.create_job(9))


def test_password_is_not_logged(stack: Stack) -> None:
    stack.wait_for_checksum(stack.create_job(9))
    password = stack.project.read(SECRET)
    assert [text for text in stack.logs_and_configurations() if password in text] == []


def test_wrong_password_fails_deployment_and_is_not_logged(stack: Stack) -> None:
    right, wrong = stack.project.read(SECRET), "hunter-0123456789"
    path = stack.project.path / SECRET
    path.write_text(wrong, "utf-8")
    try:
        started = stack.start()
        assert started.returncode != 0
        assert stack.inspect("migrate", "State.ExitCode") == 1
        # Start the others without the migration.
        for name in ("acme-sums", "worker"):
            stack.compose("up", "--detach", "--no-deps", "--force-recreate", name)
        for name in ("acme-sums", "worker", "migrate"):
            stack.wait_for_log(name, "password authentication failed")
        assert stack.post_job(9)["status"] == 503
        texts = [*stack.logs_and_configurations(), started.stderr]
        assert [text for text in texts if right in text or wrong in text] == []
    finally:
        path.write_text(right, "utf-8")
        # For tests that follow. The service and the worker have read the wrong password.
        stack.compose("up", "--detach", "--no-deps", "--force-recreate", "acme-sums", "worker")
        started = stack.start()
    assert started.returncode == 0, started.stderr
    stack.wait_for_checksum(stack.create_job(9))
