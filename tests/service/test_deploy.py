"""Deployment: compose.yaml runs a hardened service, and the Kubernetes manifests are valid."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import TOOLS, Bake, Project, copy_project
from tools.engine import Engine, EngineUnavailable
from tools.engine.fixtures import skip_or_fail
from tools.watch import CRC32C, watched_service

BASE, PRODUCTION = "deploy/kubernetes/base", "deploy/kubernetes/overlays/production"
OLDEST_KUBERNETES = "1.30"  # its kubelet is the first that supports preStop's `sleep` without a feature gate
NAME = {"app.kubernetes.io/name": "acme-sums"}
LONGEST = "a-" * 31 + "a"
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Manifests:
    """The objects that kustomize renders from a directory."""

    text: str

    @cached_property
    def objects(self) -> list[Any]:
        """All objects."""
        return list(yaml.safe_load_all(self.text))

    def all(self, kind: str) -> list[Any]:
        """All objects of a kind."""
        return [found for found in self.objects if found["kind"] == kind]

    def one(self, kind: str) -> Any:
        """Return the only object of a kind."""
        (found,) = self.all(kind)
        return found

    @property
    def template(self) -> Any:
        """The pod template of the Deployment."""
        return self.one("Deployment")["spec"]["template"]

    @property
    def pod(self) -> Any:
        """The pod's specification."""
        return self.template["spec"]

    @property
    def container(self) -> Any:
        """The pod's only container."""
        (container,) = self.pod["containers"]
        return container

    @property
    def probes(self) -> dict[str, Any]:
        """The probes of the container."""
        names = ("startupProbe", "livenessProbe", "readinessProbe")
        return {name: self.container[name]["httpGet"] for name in names}


Check = Callable[[Manifests], None]


def render(project: Project, directory: str) -> Manifests:
    """Render a directory with kubectl, without warnings."""
    result = project.run(TOOLS / "kubectl", "kustomize", directory)
    assert (result.returncode, result.stderr) == (0, "")
    return Manifests(result.stdout)


def find_value(item: Any, path: str) -> Any:
    """Return a field such as `securityContext.runAsUser`, or None if it is absent."""
    for name in path.split("."):
        item = (item or {}).get(name)
    return item


# Allowed values under the restricted Pod Security Standard and the project's own rules. None: the field is absent.
# https://kubernetes.io/docs/concepts/security/pod-security-standards/
POD_RULES: dict[str, tuple[Any, ...]] = {
    "hostNetwork": (None, False),
    "hostPID": (None, False),
    "hostIPC": (None, False),
    "initContainers": (None,),
    "volumes": ([{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],),
    "securityContext.appArmorProfile": (None,),
    "securityContext.runAsNonRoot": (True,),
    "securityContext.runAsUser": (None,),
    "securityContext.seLinuxOptions": (None,),
    "securityContext.seccompProfile.type": ("RuntimeDefault",),
    "securityContext.sysctls": (None,),
    "securityContext.windowsOptions": (None,),
    "automountServiceAccountToken": (False,),
}
CONTAINER_RULES: dict[str, tuple[Any, ...]] = {
    "securityContext.allowPrivilegeEscalation": (False,),
    "securityContext.appArmorProfile": (None,),
    "securityContext.capabilities.add": (None,),
    "securityContext.capabilities.drop": (["ALL"],),
    "securityContext.privileged": (None, False),
    "securityContext.procMount": (None,),
    "securityContext.readOnlyRootFilesystem": (True,),
    "securityContext.runAsNonRoot": (None, True),
    "securityContext.runAsUser": (None,),
    "securityContext.seLinuxOptions": (None,),
    "securityContext.seccompProfile": (None,),
    "securityContext.windowsOptions": (None,),
    "volumeMounts": ([{"name": "tmp", "mountPath": "/tmp"}],),
}


def follows_the_schemas(manifests: Manifests) -> None:
    for version in (["-k", OLDEST_KUBERNETES], []):  # without a version: the newest
        command = [str(TOOLS / "kubernetes-validate"), "--strict", *version, "-"]
        result = subprocess.run(command, input=manifests.text, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout
        unknown = re.findall(r"^WARN .* for kind (\S+)", result.stdout, re.M)
        assert set(unknown) <= {"ServiceMonitor"}, result.stdout


def is_restricted(pod: Any) -> None:
    (container,) = pod["containers"]
    for rules, item in ((POD_RULES, pod), (CONTAINER_RULES, container)):
        for path, allowed in rules.items():
            assert find_value(item, path) in allowed, path


def meets_restricted_pod_security(manifests: Manifests) -> None:
    is_restricted(manifests.pod)
    assert manifests.container["ports"] == [{"name": "http", "containerPort": 8000}]
    assert all(probe.keys() == {"path", "port"} for probe in manifests.probes.values()), "a probe names a host"
    assert manifests.container["lifecycle"].keys() == {"preStop"}
    assert manifests.container["lifecycle"]["preStop"].keys() == {"sleep"}


def selects_its_own_pods(manifests: Manifests) -> None:
    selectors = [
        manifests.one("Deployment")["spec"]["selector"]["matchLabels"],
        manifests.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        manifests.one("Service")["spec"]["selector"],
        *(policy["spec"]["podSelector"]["matchLabels"] for policy in manifests.all("NetworkPolicy")),
        *(spread["labelSelector"]["matchLabels"] for spread in manifests.pod["topologySpreadConstraints"]),
    ]
    labels = manifests.template["metadata"]["labels"]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)


def labels_every_object(manifests: Manifests) -> None:
    for found in manifests.objects:
        assert NAME.items() <= found["metadata"].get("labels", {}).items(), found["kind"]


def names_the_port(manifests: Manifests) -> None:
    (port,) = manifests.container["ports"]
    (served,) = manifests.one("Service")["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    assert {probe["port"] for probe in manifests.probes.values()} == {port["name"]}
    for monitor in manifests.all("ServiceMonitor"):
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} == {served["name"]}


def has_correct_probe_paths(manifests: Manifests) -> None:
    paths = {name: probe["path"] for name, probe in manifests.probes.items()}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def grace_period_covers_requests_in_flight(manifests: Manifests) -> None:
    pause = manifests.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = int(manifests.one("ConfigMap")["data"]["ACME_SUMS_GRACE_SECONDS"])
    assert pause >= 5
    assert pause + grace < manifests.pod["terminationGracePeriodSeconds"]


def replaces_pods_without_downtime(manifests: Manifests) -> None:
    assert manifests.one("Deployment")["spec"]["strategy"] == {"rollingUpdate": {"maxUnavailable": 0}}


def disables_service_links(manifests: Manifests) -> None:
    assert manifests.pod["enableServiceLinks"] is False


def reads_settings_from_config_map(manifests: Manifests) -> None:
    settings = manifests.one("ConfigMap")
    assert re.fullmatch(r"acme-sums-[a-z0-9]{10}", settings["metadata"]["name"])
    configuration, secrets = manifests.container["envFrom"]
    assert configuration == {"configMapRef": {"name": settings["metadata"]["name"]}}
    # A Secret, which the user creates, has no hash in its name.
    assert secrets == {"secretRef": {"name": "acme-sums", "optional": True}}


def memory_request_equals_limit(manifests: Manifests) -> None:
    resources = manifests.container["resources"]
    assert resources["limits"] == {"memory": resources["requests"]["memory"]}
    assert resources["requests"].keys() == {"cpu", "memory"}


def only_the_autoscaler_sets_replicas(manifests: Manifests) -> None:
    deployment, scaler = manifests.one("Deployment"), manifests.one("HorizontalPodAutoscaler")["spec"]
    target = {"apiVersion": deployment["apiVersion"], "kind": "Deployment", "name": deployment["metadata"]["name"]}
    assert scaler["scaleTargetRef"] == target
    assert "replicas" not in deployment["spec"]
    assert scaler["minReplicas"] < scaler["maxReplicas"]
    measured = {metric["resource"]["name"] for metric in scaler["metrics"]}
    assert measured <= manifests.container["resources"]["requests"].keys()


def disruption_budget_allows_node_drain(manifests: Manifests) -> None:
    budget = manifests.one("PodDisruptionBudget")["spec"]
    assert 0 < budget["maxUnavailable"] < manifests.one("HorizontalPodAutoscaler")["spec"]["minReplicas"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def spreads_pods_over_zones_and_nodes(manifests: Manifests) -> None:
    spread = {found["topologyKey"]: found for found in manifests.pod["topologySpreadConstraints"]}
    assert spread.keys() == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    assert all(found["matchLabelKeys"] == ["pod-template-hash"] for found in spread.values())


def network_policy_allows_ingress_only_on_its_port(manifests: Manifests) -> None:
    policies = [policy["spec"] for policy in manifests.all("NetworkPolicy")]
    assert any("Egress" in policy["policyTypes"] for policy in policies)
    for policy in policies:
        assert "Ingress" in policy["policyTypes"]
        assert "egress" not in policy
        for rule in policy["ingress"]:
            assert rule["ports"] == [{"port": 8000}]
            assert all(rule["from"])


def has_its_namespace(manifests: Manifests) -> None:
    namespace = manifests.one("Namespace")["metadata"]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    others = [found["metadata"] for found in manifests.objects if found["kind"] != "Namespace"]
    assert {found.get("namespace") for found in others} == {namespace["name"]}


def pins_the_image_version(manifests: Manifests) -> None:
    image = manifests.container["image"]
    assert re.fullmatch(r"registry\.example\.com/team/acme-sums(:v[\d.]+|@sha256:[0-9a-f]{64})", image)


def allows_prometheus_to_scrape(manifests: Manifests) -> None:
    monitor, service = manifests.one("ServiceMonitor"), manifests.one("Service")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["spec"].keys() == {"selector", "endpoints"}
    selector = monitor["spec"]["selector"]["matchLabels"]
    assert selector
    assert selector.items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"] == [{"port": service["spec"]["ports"][0]["name"], "path": "/metrics"}]
    rules = [rule for policy in manifests.all("NetworkPolicy") for rule in policy["spec"]["ingress"]]
    assert "monitoring" in json.dumps(rules)


CHECKS = [
    follows_the_schemas,
    meets_restricted_pod_security,
    selects_its_own_pods,
    labels_every_object,
    names_the_port,
    has_correct_probe_paths,
    grace_period_covers_requests_in_flight,
    replaces_pods_without_downtime,
    disables_service_links,
    reads_settings_from_config_map,
    memory_request_equals_limit,
    only_the_autoscaler_sets_replicas,
    disruption_budget_allows_node_drain,
    spreads_pods_over_zones_and_nodes,
    network_policy_allows_ingress_only_on_its_port,
]
CHECKS_OF_PRODUCTION = [has_its_namespace, pins_the_image_version, allows_prometheus_to_scrape]
CASES = [(check, directory) for check in CHECKS for directory in (BASE, PRODUCTION)]
CASES += [(check, PRODUCTION) for check in CHECKS_OF_PRODUCTION]
# Each fault: the check that detects it, the file, the old text and the new text.
FAULTS: list[tuple[Check, str, str, str]] = [
    (follows_the_schemas, f"{BASE}/deployment.yaml", "maxSkew: 1", 'maxSkew: "1"'),
    (follows_the_schemas, f"{BASE}/service.yaml", "appProtocol", "appProtokol"),
    (follows_the_schemas, f"{BASE}/horizontalpodautoscaler.yaml", "autoscaling/v2", "autoscaling/v2beta2"),
    (meets_restricted_pod_security, f"{BASE}/pods.yaml", "runAsNonRoot: true", "runAsNonRoot: false"),
    (meets_restricted_pod_security, f"{BASE}/pods.yaml", "drop: [ALL]", "drop: [NET_RAW]"),
    (meets_restricted_pod_security, f"{BASE}/pods.yaml", "RuntimeDefault", "Unconfined"),
    (meets_restricted_pod_security, f"{BASE}/pods.yaml", "allowPrivilegeEscalation: false", "privileged: true"),
    (meets_restricted_pod_security, f"{BASE}/pods.yaml", "readOnlyRootFilesystem: true", "procMount: Unmasked"),
    (meets_restricted_pod_security, f"{BASE}/pods.yaml", "enableServiceLinks: false", "hostNetwork: true"),
    (meets_restricted_pod_security, f"{BASE}/deployment.yaml", "containerPort: 8000", "hostPort: 80"),
    (meets_restricted_pod_security, f"{BASE}/deployment.yaml", "path: /readyz,", "path: /readyz, host: 10.0.0.1,"),
    (meets_restricted_pod_security, f"{BASE}/pods.yaml", "automountServiceAccountToken: false", "hostPID: true"),
    (meets_restricted_pod_security, f"{BASE}/pods.yaml", "sizeLimit: 64Mi", "medium: Memory"),
    (meets_restricted_pod_security, f"{BASE}/pods.yaml", "mountPath: /tmp", "mountPath: /"),
    (selects_its_own_pods, f"{BASE}/service.yaml", "/name: acme-sums", "/name: acme"),
    (selects_its_own_pods, f"{BASE}/poddisruptionbudget.yaml", "/name: acme-sums", "/name: acme"),
    (selects_its_own_pods, f"{BASE}/networkpolicy.yaml", "/name: acme-sums", "/name: acme"),
    (labels_every_object, f"{BASE}/kustomization.yaml", "/name: acme-sums", "/name: acme"),
    (names_the_port, f"{BASE}/deployment.yaml", "name: http", "name: web"),
    (names_the_port, f"{BASE}/service.yaml", "targetPort: http", "targetPort: web"),
    (has_correct_probe_paths, f"{BASE}/deployment.yaml", "path: /readyz", "path: /healthz"),
    (grace_period_covers_requests_in_flight, f"{BASE}/kustomization.yaml", "SECONDS=20", "SECONDS=30"),
    (replaces_pods_without_downtime, f"{BASE}/deployment.yaml", "maxUnavailable: 0", "maxUnavailable: 1"),
    (disables_service_links, f"{BASE}/pods.yaml", "enableServiceLinks: f", "enableServiceLinks: t"),
    (reads_settings_from_config_map, f"{BASE}/kustomization.yaml", "  - name: acme-sums\n", "  - name: sums\n"),
    (reads_settings_from_config_map, f"{BASE}/pods.yaml", "optional: true", "optional: false"),
    (memory_request_equals_limit, f"{BASE}/deployment.yaml", "limits:", "limits:\n              cpu: 250m"),
    (only_the_autoscaler_sets_replicas, f"{BASE}/deployment.yaml", "  selector:\n", "  replicas: 2\n  selector:\n"),
    (only_the_autoscaler_sets_replicas, f"{BASE}/horizontalpodautoscaler.yaml", "name: cpu", "name: storage"),
    (disruption_budget_allows_node_drain, f"{BASE}/horizontalpodautoscaler.yaml", "minReplicas: 2", "minReplicas: 1"),
    (disruption_budget_allows_node_drain, f"{BASE}/poddisruptionbudget.yaml", "AlwaysAllow", "IfHealthyBudget"),
    (spreads_pods_over_zones_and_nodes, f"{BASE}/deployment.yaml", "kubernetes.io/hostname", "kubernetes.io/arch"),
    (network_policy_allows_ingress_only_on_its_port, f"{BASE}/networkpolicy.yaml", "[Ingress, Egress]", "[Ingress]"),
    (network_policy_allows_ingress_only_on_its_port, f"{BASE}/networkpolicy.yaml", "port: 8000", "port: 80"),
    (labels_every_object, f"{PRODUCTION}/kustomization.yaml", "/name: acme-sums", "/name: acme"),
    (disruption_budget_allows_node_drain, f"{PRODUCTION}/kustomization.yaml", "value: 3", "value: 1"),
    (grace_period_covers_requests_in_flight, f"{PRODUCTION}/kustomization.yaml", "LOG_LEVEL=info", "GRACE_SECONDS=40"),
    (network_policy_allows_ingress_only_on_its_port, f"{PRODUCTION}/networkpolicy.yaml", "port: 8000", "port: 80"),
    (selects_its_own_pods, f"{PRODUCTION}/networkpolicy.yaml", "/name: acme-sums", "/name: acme"),
    (has_its_namespace, f"{PRODUCTION}/kustomization.yaml", "namespace: acme-sums", ""),
    (has_its_namespace, f"{PRODUCTION}/namespace.yaml", "restricted", "baseline"),
    (pins_the_image_version, f"{PRODUCTION}/kustomization.yaml", "v0.1.0", "latest"),
    (allows_prometheus_to_scrape, f"{PRODUCTION}/servicemonitor.yaml", "port: http", "port: web"),
    (allows_prometheus_to_scrape, f"{PRODUCTION}/servicemonitor.yaml", "/name: acme-sums", "/name: acme"),
    (allows_prometheus_to_scrape, f"{PRODUCTION}/networkpolicy.yaml", "monitoring", "default"),
]


@pytest.fixture(scope="module")
def service(bake_once: Bake) -> Project:
    return bake_once(project_slug="acme-sums", app="service")


def name_of(parameter: object) -> str:
    return getattr(parameter, "__name__", Path(str(parameter)).name)


@pytest.mark.parametrize(("check", "directory"), CASES, ids=name_of)
def test_manifests_pass_check(service: Project, check: Check, directory: str) -> None:
    check(render(service, directory))


@pytest.mark.parametrize(("check", "name", "old", "new"), FAULTS)
def test_check_detects_injected_fault(
    service: Project, tmp_path: Path, check: Check, name: str, old: str, new: str
) -> None:
    project = copy_project(service, tmp_path)
    project.edit(name, old, new)
    manifests = render(project, Path(name).parent.as_posix())
    with pytest.raises(AssertionError):
        check(manifests)


def test_every_check_has_an_injected_fault() -> None:
    assert {check for check, *_ in FAULTS} == {check for check, _ in CASES}


def test_changed_setting_rolls_out_new_pods(service: Project, tmp_path: Path) -> None:
    project = copy_project(service, tmp_path)
    project.edit(f"{PRODUCTION}/kustomization.yaml", "LOG_LEVEL=info", "LOG_LEVEL=debug")
    before, after = render(service, PRODUCTION), render(project, PRODUCTION)
    assert before.template != after.template
    assert after.one("ConfigMap")["data"] == {"ACME_SUMS_GRACE_SECONDS": "20", "ACME_SUMS_LOG_LEVEL": "debug"}


def test_image_can_be_set_by_digest(service: Project, tmp_path: Path) -> None:
    project = copy_project(service, tmp_path)
    digest = f"sha256:{'0' * 64}"
    project.edit(f"{PRODUCTION}/kustomization.yaml", "newTag: v0.1.0", f"digest: {digest}")
    assert render(project, PRODUCTION).container["image"] == f"registry.example.com/team/acme-sums@{digest}"


def test_namespace_is_optional(service: Project, tmp_path: Path) -> None:
    project = copy_project(service, tmp_path)
    project.edit(f"{PRODUCTION}/kustomization.yaml", "  - namespace.yaml\n", "")
    expected = render(service, PRODUCTION)
    expected.objects.remove(expected.one("Namespace"))
    assert render(project, PRODUCTION).objects == expected.objects


def test_private_registry_can_have_credentials(service: Project, tmp_path: Path) -> None:
    project = copy_project(service, tmp_path)
    line = re.search(r"`(imagePullSecrets: .*?)`", project.read("docs/deploying.md"))
    assert line
    link = "      enableServiceLinks: false\n"
    project.edit(f"{BASE}/pods.yaml", link, f"{link}      {line[1]}\n")
    manifests = render(project, PRODUCTION)
    follows_the_schemas(manifests)
    assert manifests.pod["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize("slug", ["ab", "null-1", LONGEST])
def test_names_of_any_length_are_valid_in_kubernetes(bake: Bake, slug: str) -> None:
    manifests = render(bake(project_slug=slug, app="service"), PRODUCTION)
    follows_the_schemas(manifests)
    labels = [found["metadata"].get("labels", {}).values() for found in manifests.objects]
    short = [manifests.container["name"], *(name for values in labels for name in values)]
    short += [manifests.one(kind)["metadata"]["name"] for kind in ("Namespace", "Service")]
    assert all(DNS_LABEL.fullmatch(name) for name in short)
    assert all(len(found["metadata"]["name"]) <= 253 for found in manifests.objects)


@dataclass(frozen=True)
class ComposeService:
    """A service that was built and started by `docker compose`, on a free port."""

    engine: Engine
    project: Project
    override: Path

    def compose(self, *arguments: str) -> str:
        """Run `docker compose`, and return its output."""
        files = ("--file", "deploy/compose.yaml", "--file", str(self.override))
        options = ("--project-name", "test-compose", *files)
        return self.engine.docker("compose", *options, *arguments, cwd=self.project.path).stdout

    def inspect(self, part: str) -> Any:
        """Return a field of `docker inspect` for the container."""
        name = self.compose("ps", "--all", "--quiet").strip()
        return json.loads(self.engine.docker("inspect", "--format", f"{{{{json .{part}}}}}", name).stdout)

    def request(self, path: str, body: bytes | None = None) -> str:
        """Return the response to a request, or raise an error if it failed."""
        address = self.compose("port", self.project.slug, "8000").strip()
        with urllib.request.urlopen(f"http://{address}{path}", data=body, timeout=30) as response:
            return str(response.read().decode())


@pytest.fixture(scope="module", params=["venv", "all"])
def compose_service(
    request: pytest.FixtureRequest,
    bake_once: Bake,
    engine: Engine,
    base_image: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ComposeService]:
    if engine.docker("compose", "version", check=False).returncode != 0:
        skip_or_fail(EngineUnavailable("`docker compose` is not available. Install the Docker Compose plugin."))
    project = bake_once(project_slug="acme-sums", app="service", strategy=request.param)
    base_image(project.answers["python_version"])
    override = tmp_path_factory.mktemp("compose") / "override.yaml"
    # Another name for the image, because other tests build `acme-sums` at the same time.
    settings = '{ image: test-compose, ports: !override ["127.0.0.1::8000"] }'
    override.write_text(f"services: {{ acme-sums: {settings} }}\n", "utf-8")
    compose_service = ComposeService(engine, project, override)
    try:
        # `--wait` fails if there is no health check, or if it fails.
        compose_service.compose("up", "--build", "--wait")
        yield compose_service
        # Not in a test, which would have to be the last one.
        compose_service.compose("stop")
        state = compose_service.inspect("State")
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    finally:
        compose_service.compose("down", "--rmi", "all")


def test_compose_runs_the_service(compose_service: ComposeService) -> None:
    assert json.loads(compose_service.request("/crc32c", b"123456789")) == {"crc32c": "e3069283", "bytes": 9}


def test_compose_hardens_the_service(compose_service: ComposeService) -> None:
    expected = {
        "ReadonlyRootfs": True,
        "Privileged": False,
        "CapAdd": None,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "Memory": 256 << 20,
        "NanoCpus": 10**9,
        "PidsLimit": 64,
        "Tmpfs": {"/tmp": "size=16m"},
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "5"}},
    }
    host = compose_service.inspect("HostConfig")
    assert {name: host[name] for name in expected} == expected
    assert compose_service.inspect("Mounts") == []


# A route that writes a temporary file, as Starlette does for an upload of more than 1 MB, and a file in HOME, as
# matplotlib does when it is imported. Its client runs in the same container.
UPLOAD = """
import os, signal, sys, tempfile, threading, time, urllib.request
from pathlib import Path

from fastapi import Request

from acme_sums import service

app = service.create_app(service.ServiceSettings, title="Upload", version="1")


@app.post("/upload")
async def upload(request: Request) -> int:
    (Path.home() / ".cache" / "library").mkdir(parents=True, exist_ok=True)
    with tempfile.SpooledTemporaryFile(max_size=1 << 20) as file:
        async for chunk in request.stream():
            file.write(chunk)
        return file.tell()


def send():
    for _ in range(100):
        try:
            print(urllib.request.urlopen("http://127.0.0.1:8000/upload", bytes(3_000_000)).read().decode())
            break
        except OSError as error:
            failure = error
            time.sleep(0.1)
    else:
        print(failure)
    os.kill(os.getpid(), signal.SIGTERM)


threading.Thread(target=send).start()
sys.exit(service.run("__main__:app", "upload"))
"""


def test_compose_provides_temporary_files_for_any_user(compose_service: ComposeService) -> None:
    options = ("--rm", "--no-TTY", "--user=1000660000:0", "--env=ACME_SUMS_MAX_BODY_BYTES=4MB")
    assert compose_service.compose("run", *options, "acme-sums", "python", "-c", UPLOAD) == "3000000\n"


def test_compose_publishes_only_to_localhost(service: Project) -> None:
    (published,) = yaml.safe_load(service.read("deploy/compose.yaml"))["services"]["acme-sums"]["ports"]
    assert published == "127.0.0.1:8000:8000"


SHUTDOWN = "from acme_sums.service import ServiceSettings as S; print(S().drain_seconds + S().grace_seconds)"


def test_compose_stop_grace_period_covers_service_shutdown(compose_service: ComposeService) -> None:
    seconds = float(compose_service.compose("exec", "--no-TTY", "acme-sums", "python", "-c", SHUTDOWN))
    assert compose_service.inspect("Config")["StopTimeout"] > seconds >= 20


def test_compose_passes_settings_to_the_service(compose_service: ComposeService) -> None:
    environment = compose_service.engine.environment
    settings = Path(compose_service.project.path, "deploy/.env")
    settings.write_text("ACME_SUMS_IDLE_SECONDS=7\nACME_SUMS_YOUR_OWN=yours\n", "utf-8")
    compose_service = replace(
        compose_service, engine=Engine({**environment, "ACME_SUMS_LOG_LEVEL": "debug"}, private=False)
    )
    try:
        config = json.loads(compose_service.compose("config", "--format", "json"))["services"]["acme-sums"]
    finally:
        settings.unlink()
    values = {name: value for name, value in config["environment"].items() if value is not None}
    expected = {"IDLE_SECONDS": "7", "YOUR_OWN": "yours", "LOG_LEVEL": "debug"}
    assert values == {f"ACME_SUMS_{name}": value for name, value in expected.items()}


@pytest.mark.parametrize("strategy", ["venv", "platter"])
def test_compose_watch_applies_python_and_c_changes(
    bake: Bake, engine: Engine, strategy: str, base_image: Callable[[str], str]
) -> None:
    project = bake(app="service", strategy=strategy)
    base_image(project.answers["python_version"])
    with watched_service(engine, project.path) as watched:
        watched.change_python(1)
        watched.change_c(1)
        assert f"{CRC32C + 1:08x}version1" in watched.checksum()


def test_probe_and_metrics_paths_exist(compose_service: ComposeService) -> None:
    manifests = render(compose_service.project, PRODUCTION)
    paths = {probe["path"] for probe in manifests.probes.values()}
    paths |= {endpoint["path"] for endpoint in manifests.one("ServiceMonitor")["spec"]["endpoints"]}
    for path in sorted(paths):
        compose_service.request(path)


def test_deployed_settings_match_the_service(compose_service: ComposeService) -> None:
    described = compose_service.compose("exec", "--no-TTY", "acme-sums", "acme-sums", "serve", "--help")
    known = set(re.findall(r"ACME_SUMS_\w+", described))
    compose = yaml.safe_load(compose_service.project.read("deploy/compose.yaml"))["services"]["acme-sums"][
        "environment"
    ]
    assert {*compose} == known - {"ACME_SUMS_HOST", "ACME_SUMS_PORT"}
    assert {*render(compose_service.project, PRODUCTION).one("ConfigMap")["data"]} <= known
