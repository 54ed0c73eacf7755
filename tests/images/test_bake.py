"""deploy/docker-bake.hcl: its targets, what they build, and the shared registry cache."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import (
    APPS,
    BAKE,
    CHECKSUM,
    COMMIT_TIME,
    DIGITS,
    QUESTIONS,
    STRATEGIES,
    WITH_ARTIFACTS,
    Bake,
    Project,
    commit_project,
    copy_project,
)
from tools.compare import harness
from tools.engine import Engine, EngineUnavailable, second_engine
from tools.engine.fixtures import skip_or_fail
from tools.sizes import counts_blocks

OUTPUT = f"{CHECKSUM}  -\n"


@dataclass(frozen=True)
class Builder:
    """A project and the engine that builds it."""

    project: Project
    engine: Engine

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project, with variables of deploy/docker-bake.hcl in its environment."""
        result = self.project.run(*command, env={**self.engine.environment, **variables})
        assert result.returncode == 0, result.stderr
        return result

    def plan(self, *arguments: str, **variables: str) -> dict[str, Any]:
        """Return what `docker buildx bake` would build, by target."""
        printed = self.run("docker", *BAKE, "--print", *arguments, **variables)
        targets: dict[str, Any] = json.loads(printed.stdout)["target"]
        return targets

    def steps(self, *arguments: str, **variables: str) -> dict[str, bool]:
        """Build, and map each RUN step to whether it was cached."""
        log = self.run("docker", *BAKE, "--progress=rawjson", *arguments, **variables).stderr
        found: dict[str, bool] = {}
        for line in log.splitlines():
            for vertex in json.loads(line).get("vertexes", []):  # codespell:ignore vertexes
                # Drop the step number: if two builds share a step, it may be numbered as in the other build.
                name = re.sub(r" \d+/\d+\] RUN ", "] RUN ", vertex["name"])
                if "] RUN " in name:
                    # A cached step is reported again when its layer is pulled.
                    found[name] = found.get(name, False) or vertex.get("cached", False)
        return found

    def image_id(self) -> str:
        """Return the image ID."""
        return self.engine.docker("inspect", "--format", "{{.Id}}", self.project.slug).stdout

    def output(self, tag: str) -> str:
        """Run the program of an image with nine digits as input, and return its output."""
        options = ("run", "--rm", "--interactive", "--network=none")
        return self.engine.docker(*options, tag, self.project.slug, "crc32c", input=DIGITS).stdout


@pytest.fixture(scope="module")
def create_builder(engine: Engine, base_image: Any, bake_once: Bake) -> Iterator[Any]:
    """Return a function that returns a builder for a project with the given strategy."""

    def with_strategy(strategy: str, app: str = "cli") -> Builder:
        project = bake_once(project_slug="acme-sums", strategy=strategy, app=app)
        base_image(project.answers["python_version"])
        return Builder(project, engine)

    yield with_strategy
    # By name, because images of other tests may have the same ID.
    tags = engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "acme-sums").stdout.split()
    if tags:
        engine.docker("image", "rm", *tags, check=False)


@pytest.fixture
def committed_builder(create_builder: Any, tmp_path: Path) -> Builder:
    """Return a project with the default strategy and one commit with a fixed time."""
    builder: Builder = create_builder("venv")
    return replace(builder, project=commit_project(builder.project, tmp_path))


# Targets.


def expected_targets(kind: str, strategy: str) -> set[str]:
    """Return the targets of a kind that a project should have."""
    among = WITH_ARTIFACTS if kind == "artifacts" else STRATEGIES
    return {f"{kind}-{name}" for name in among} if strategy == "all" else {kind} if strategy in among else set()


@pytest.mark.parametrize("strategy", QUESTIONS["strategy"])
def test_targets_build_the_right_stages_and_dockerfiles(create_builder: Any, strategy: str) -> None:
    builder: Builder = create_builder(strategy)
    kinds = [kind for kind in ("image", "test-image", "artifacts", "release") if expected_targets(kind, strategy)]
    for kind in kinds:
        plan = builder.plan(kind)
        assert plan.keys() == expected_targets(kind, strategy)
        for name, target in plan.items():
            text = builder.project.read(target["dockerfile"])
            assert target["dockerfile"] in ("Dockerfile", f"strategies/{name.removeprefix(f'{kind}-')}/Dockerfile")
            assert kind in ("image", "release") or f" AS {target['target']}\n" in text
    listed = builder.run("docker", *BAKE, "--list=type=targets,format=json").stdout
    assert {entry["name"] for entry in json.loads(listed)} == {"default", *kinds}.union(
        *(expected_targets(kind, strategy) for kind in kinds)
    )
    assert builder.plan().keys() == expected_targets("image", strategy)


@pytest.mark.parametrize("strategy", QUESTIONS["strategy"])
def test_artifacts_targets_match_dockerfile_stages(create_builder: Any, strategy: str) -> None:
    project = create_builder(strategy).project
    dockerfiles = [name for name in project.files if re.fullmatch(r"(strategies/\w+/)?Dockerfile", name)]
    stages = sum(" AS artifacts\n" in project.read(name) for name in dockerfiles)
    assert stages == len(expected_targets("artifacts", strategy))
    assert bool(re.search(r"^artifacts:", project.read("Makefile"), re.M)) == bool(stages)


@pytest.mark.parametrize("strategy", ["venv", "all"])
def test_plain_bake_uses_no_registry_and_one_platform(create_builder: Any, strategy: str) -> None:
    for target in create_builder(strategy).plan().values():
        assert target.keys().isdisjoint({"cache-from", "cache-to", "labels", "platforms", "output"})
        assert target["attest"] == [{"disabled": True, "type": "provenance"}]


@pytest.mark.parametrize("strategy", ["venv", "all"])
def test_each_branch_and_strategy_has_its_own_cache(create_builder: Any, strategy: str) -> None:
    builder: Builder = create_builder(strategy)
    cache = "registry.example.com/cache"
    for name, target in builder.plan(CACHE=cache, BRANCH="mine").items():
        suffix = name.removeprefix("image")
        mine = f"{cache}:branch-mine{suffix}"
        assert [found["ref"] for found in target["cache-from"]] == [mine, f"{cache}:main{suffix}"]
        assert target["cache-to"] == [{"type": "registry", "ref": mine, "mode": "max"}]
    for target in builder.plan(CACHE=cache, MAIN="trunk").values():
        assert [found["ref"].partition("-")[0] for found in target["cache-from"]] == [f"{cache}:main"]
        assert "cache-to" not in target
    for target in builder.plan("test-image", CACHE=cache, BRANCH="mine").values():
        assert "cache-to" not in target, "it would replace the cache of the image"


@pytest.mark.parametrize("branch", ["main", "Trunk", "trunk!", "main/", ".main"])
def test_other_branches_do_not_share_main_cache(create_builder: Any, branch: str) -> None:
    (target,) = create_builder("venv").plan(CACHE="registry.example.com/cache", BRANCH=branch, MAIN="trunk").values()
    (written,) = target["cache-to"]
    assert written["ref"].startswith("registry.example.com/cache:branch-")
    assert target["cache-from"][-1]["ref"] == "registry.example.com/cache:main"


BASE_DIGEST = f"sha256:{'0' * 64}"
LABELS = {
    "REVISION": ("c0ffee", {"revision": "c0ffee"}),
    "SOURCE": ("https://example.com/acme", {"source": "https://example.com/acme"}),
    "VERSION": ("1.2.3", {"version": "1.2.3"}),
    "BASE": ("example.com/python:3.14", {"base.name": "example.com/python:3.14"}),
    "BASE by digest": (f"python@{BASE_DIGEST}", {"base.name": "python", "base.digest": BASE_DIGEST}),
}


@pytest.mark.parametrize("variable", LABELS)
@pytest.mark.parametrize("kind", ["image", "release"])
def test_each_known_value_becomes_a_label(create_builder: Any, variable: str, kind: str) -> None:
    value, expected = LABELS[variable]
    (target,) = create_builder("venv").plan(kind, **{variable.partition(" ")[0]: value}).values()
    assert target["labels"] == {f"org.opencontainers.image.{name}": text for name, text in expected.items()}


@pytest.mark.parametrize("name", ["fix#12", "#12", "grün/x", "(x", "a" * 200, "v1.2.3+4"])
@pytest.mark.parametrize("strategy", ["venv", "all"])
def test_any_branch_name_gives_a_valid_tag(create_builder: Any, strategy: str, name: str) -> None:
    for target in create_builder(strategy).plan(CACHE="registry.example.com/cache", BRANCH=name, TAG=name).values():
        references = [*target["tags"], *(found["ref"] for found in target["cache-from"] + target["cache-to"])]
        assert all(re.fullmatch(r"[^:]+:\w[\w.-]{0,127}", reference, re.ASCII) for reference in references), references


@pytest.mark.parametrize("strategy", ["venv", "all"])
def test_release_is_multi_platform_attested_and_reproducible(create_builder: Any, strategy: str) -> None:
    builder: Builder = create_builder(strategy)
    image = "registry.example.com/acme"
    where = {"IMAGE": image, "TAG": "1.2.3", "REVISION": "c0ffee"}
    output = {"type": "image", "push": "true", "rewrite-timestamp": "true", "store": "false"}
    for name, target in builder.plan("--push", "release", **where).items():
        suffix = name.removeprefix("release")
        assert target["tags"] == [f"{image}:1.2.3{suffix}", f"{image}:c0ffee{suffix}"]
        assert target["platforms"] == ["linux/amd64", "linux/arm64"]
        assert [attestation["type"] for attestation in target["attest"]] == ["provenance", "sbom"]
        assert target["attest"][0]["mode"] == "min"
        assert target["output"] == [output]
    for target in builder.plan("--push", "release", BY_DIGEST="true", **where).values():
        assert target["tags"] == [image]
        assert target["output"] == [{**output, "push-by-digest": "true", "name-canonical": "true"}]
    for target in builder.plan("release", PLATFORMS="", **where).values():
        assert "platforms" not in target


@pytest.mark.parametrize("strategy", ["wheels", "all"])
def test_make_ignores_a_compose_file(create_builder: Any, strategy: str, tmp_path: Path) -> None:
    builder: Builder = create_builder(strategy)
    builder = replace(builder, project=copy_project(builder.project, tmp_path))
    compose = "services: { acme: { image: acme, env_file: [missing.env] } }\n"
    (builder.project.path / "compose.yaml").write_text(compose, "utf-8")
    plan = builder.run("make", "--dry-run", "image", "test-image", "artifacts", "run").stdout.splitlines()
    bakes = [line for line in plan if "docker buildx bake" in line]
    assert len(bakes) == 4
    for line in bakes:
        builder.run("sh", "-c", f"{line} --print")


# Builds.


def test_make_builds_the_image_and_runs_its_tests(create_builder: Any) -> None:
    builder: Builder = create_builder("venv")
    builder.run("make", "image")
    assert builder.output("acme-sums") == OUTPUT
    assert "python -m pytest" in builder.run("make", "test-image").stderr


def test_make_runs_selected_tests_in_the_image(create_builder: Any) -> None:
    log = create_builder("venv").run("make", "test-image", "ARGS=-k 'version or known_values'").stderr
    assert re.search(r"= \d+ passed, \d+ deselected", log)


@pytest.mark.parametrize("strategy", ["venv", "platter"])
def test_editor_files_do_not_trigger_rebuild(create_builder: Any, strategy: str, tmp_path: Path) -> None:
    builder: Builder = create_builder(strategy)
    builder = replace(builder, project=copy_project(builder.project, tmp_path))
    package = builder.project.path / "src" / builder.project.package
    builder.steps()
    for name in (".cli.py.swp", "cli.py~", "#cli.py#", ".#cli.py", "4913"):
        (package / name).write_text("An editor wrote this.\n", "utf-8")
    assert set(builder.steps().values()) == {True}
    (package / "new.py").write_text('"""A module."""\n', "utf-8")
    assert False in builder.steps().values()


@pytest.mark.parametrize("strategy", ["venv", "all"])
def test_make_runs_the_built_image(create_builder: Any, strategy: str) -> None:
    builder: Builder = create_builder(strategy)
    assert builder.run("make", "run", "IMAGE=acme-sums:mine", "TAG=other").stdout.count("usage: acme-sums") == 1
    assert builder.output("acme-sums:mine") == OUTPUT


@pytest.mark.parametrize("strategy", ["wheels", "all"])
def test_make_writes_artifacts_to_dist(create_builder: Any, strategy: str) -> None:
    builder: Builder = create_builder(strategy)
    builder.run("make", "artifacts")
    dist = builder.project.path / "dist"
    files = ["pex/acme-sums.pex", "platter/*.tar.gz", "wheels/acme_sums-*.whl"]
    for name in files if strategy == "all" else ["acme_sums-*.whl"]:
        assert [path.is_file() for path in dist.glob(name)] == [True], name


def test_one_strategy_of_all_can_be_built(create_builder: Any) -> None:
    builder: Builder = create_builder("all")
    builder.run("docker", *BAKE, "--load", "image-wheels", TAG="one")
    assert builder.output("acme-sums:one-wheels") == OUTPUT


def bake_line(project: Project, time: str) -> str:
    """Return the command of `make image`."""
    revision = project.run("git", "rev-parse", "HEAD").stdout.strip()
    values = f"SOURCE_DATE_EPOCH={time} REVISION={revision} VERSION=0.1.0"
    return f"{values} docker buildx bake --file deploy/docker-bake.hcl  --load\n"


def test_make_labels_the_image_with_revision_and_version(committed_builder: Builder) -> None:
    revision = committed_builder.project.run("git", "rev-parse", "HEAD").stdout.strip()
    committed_builder.run("make", "image", TAG="labelled")
    committed_builder.project.edit("README.md", "# ", "# New ")
    committed_builder.run("make", "image", TAG="changed")
    for tag, expected in (("labelled", revision), ("changed", f"{revision}-dirty")):
        inspect = ("inspect", "--format", "{{json .Config.Labels}}", f"acme-sums:{tag}")
        labels = json.loads(committed_builder.engine.docker(*inspect).stdout)
        assert labels["org.opencontainers.image.revision"] == expected
        assert labels["org.opencontainers.image.version"] == "0.1.0"
        assert "org.opencontainers.image.source" not in labels


def test_image_has_the_timestamp_of_the_last_commit(committed_builder: Builder) -> None:
    committed_builder.run("make", "image", TAG="dated")
    created = committed_builder.engine.docker("inspect", "--format", "{{.Created}}", "acme-sums:dated").stdout.strip()
    assert created == "2023-11-14T22:13:20Z"
    plan = committed_builder.run("make", "--dry-run", "image", SOURCE_DATE_EPOCH="0")
    assert plan.stdout == bake_line(committed_builder.project, "0")


def test_build_reports_a_checkout_of_another_owner(committed_builder: Builder) -> None:
    plan = committed_builder.run("make", "--dry-run", "image", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert "dubious ownership" in plan.stderr
    assert "The image timestamp is the current time" in plan.stderr


def test_signed_commit_sets_the_image_timestamp(committed_builder: Builder) -> None:
    def git(*command: str, text: str = "") -> str:
        result = committed_builder.project.run("git", *command, input=text)
        assert result.returncode == 0, result.stderr
        return result.stdout

    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n YQ==\n -----END PGP SIGNATURE-----"
    headers, _, message = git("cat-file", "commit", "HEAD").partition("\n\n")
    commit = f"{headers}\n{signature}\n\n{message}"
    git("reset", "--quiet", git("hash-object", "-t", "commit", "-w", "--stdin", text=commit).strip())
    git("config", "log.showSignature", "true")
    plan = committed_builder.run("make", "--dry-run", "image")
    assert plan.stdout == bake_line(committed_builder.project, str(COMMIT_TIME))


def test_image_without_commit_has_the_current_time(committed_builder: Builder) -> None:
    shutil.rmtree(committed_builder.project.path / ".git")
    plan = committed_builder.run("make", "--dry-run", "image")
    assert plan.stdout == bake_line(committed_builder.project, "")
    assert "The image timestamp is the current time" in plan.stderr
    committed_builder.run("make", "image", TAG="undated")
    assert committed_builder.output("acme-sums:undated") == OUTPUT


# The shared cache and the registry.


@pytest.fixture(scope="module")
def cache_registry(engine: Engine, base_image: Any) -> Iterator[str]:
    """Start a registry to which the engine can export its cache; this needs the containerd image store."""
    base = base_image("3.14")
    if not counts_blocks(engine):
        skip_or_fail(EngineUnavailable("Docker can export layers only with the containerd image store: enable it"))
    with harness.running_registry(harness.Engine(engine.environment), base) as registry:
        yield registry.address


@pytest.fixture(scope="module")
def second_host(engine: Engine, base_image: Any) -> Iterator[Engine]:
    """Start an engine that contains only the base image."""
    if not engine.private:
        pytest.skip("only a private engine includes the programs for a second one")
    try:
        with second_engine(engine, base_image("3.14")) as second:
            yield second
    except EngineUnavailable as reason:
        skip_or_fail(reason)


@pytest.fixture
def fresh_engine(second_host: Engine) -> Engine:
    """Return the second engine without the results of earlier builds."""
    clear_engine(second_host)
    return second_host


def clear_engine(engine: Engine) -> None:
    """Remove an engine's build cache and the image, which would otherwise keep the layers."""
    engine.docker("image", "rm", "--force", "acme-sums", check=False)
    engine.docker("builder", "prune", "--all", "--force")


COMPILER = re.compile(r"requirements-image.* RUN .*apt-get install")


def test_fresh_engine_compiles_nothing_and_builds_the_same_image(
    create_builder: Any, cache_registry: str, fresh_engine: Engine
) -> None:
    here: Builder = create_builder("venv")
    there = replace(here, engine=fresh_engine)
    variables = {"CACHE": f"{cache_registry}/plain/cache", "SOURCE_DATE_EPOCH": str(COMMIT_TIME)}
    first = here.steps("--load", BRANCH="main", **variables)
    assert any(COMPILER.search(step) for step in first)
    # A new branch can use the cache of the main branch.
    assert there.steps("--load", BRANCH="new", **variables) == dict.fromkeys(first, True)
    assert there.image_id() == here.image_id()
    assert there.output("acme-sums") == OUTPUT
    # The cache that the fresh engine wrote for its own branch is complete, although that engine built nothing.
    clear_engine(fresh_engine)
    assert there.steps("--load", MAIN="new", **variables) == dict.fromkeys(first, True)


def edit_copy(project: Project, directory: Path) -> Project:
    """Return a copy of a project with one changed line of Python."""
    copy = copy_project(project, directory)
    copy.edit("src/acme_sums/cli.py", "1 << 20", "1 << 19")
    return copy


def test_fresh_engine_gets_compiler_from_cache_after_source_change(
    create_builder: Any, cache_registry: str, fresh_engine: Engine, tmp_path: Path
) -> None:
    here: Builder = create_builder("venv")
    cache = f"{cache_registry}/max/cache"
    here.steps("--load", CACHE=cache, BRANCH="main")
    steps = Builder(edit_copy(here.project, tmp_path), fresh_engine).steps("--load", CACHE=cache)
    assert {found for step, found in steps.items() if COMPILER.search(step)} == {True}
    assert {found for step, found in steps.items() if "uv build" in step} == {False}


@pytest.mark.weekly
def test_cache_with_mode_min_does_not_contain_the_compiler(
    create_builder: Any, cache_registry: str, fresh_engine: Engine, tmp_path: Path
) -> None:
    # Use the fresh engine: the first one would also export layers that it has already pushed.
    there = replace(create_builder("venv"), engine=fresh_engine)
    cache = f"{cache_registry}/min/cache"
    export = f"--set=*.cache-to=type=registry,ref={cache}:main,mode=min"
    there.steps("--load", export, CACHE=cache, BRANCH="main")
    clear_engine(fresh_engine)
    steps = replace(there, project=edit_copy(there.project, tmp_path)).steps("--load", CACHE=cache)
    assert {found for step, found in steps.items() if COMPILER.search(step)} == {False}


def blob(address: str, path: str) -> bytes:
    """Return a blob or manifest from the registry."""
    media = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
    request = urllib.request.Request(f"http://{address}/v2/{path}", headers={"Accept": media})
    with urllib.request.urlopen(request, timeout=60) as response:
        content: bytes = response.read()
    return content


def test_pushed_files_are_not_newer_than_commit(committed_builder: Builder, cache_registry: str) -> None:
    # Earlier than any timestamp that the Dockerfiles set.
    early = 100_000_000
    variables = {"IMAGE": f"{cache_registry}/acme", "TAG": "pushed", "PLATFORMS": "", "SOURCE_DATE_EPOCH": str(early)}
    # SBOMs are generated by an image that is only available from Docker Hub.
    committed_builder.run("docker", *BAKE, "--push", "release", "--set=*.attest=type=sbom,disabled=true", **variables)
    base = committed_builder.engine.docker("inspect", "--format", "{{len .RootFS.Layers}}", "python:3.14-slim").stdout
    index = json.loads(blob(cache_registry, "acme/manifests/pushed"))
    image, provenance = (
        json.loads(blob(cache_registry, f"acme/manifests/{it['digest']}")) for it in index["manifests"]
    )
    assert provenance["layers"][0]["annotations"]["in-toto.io/predicate-type"].startswith(
        "https://slsa.dev/provenance/"
    )
    config = json.loads(blob(cache_registry, f"acme/blobs/{image['config']['digest']}"))
    assert config["created"] == "1973-03-03T09:46:40Z"
    # The layers of the base image are not changed.
    own = image["layers"][int(base) :]
    times = [time for layer in own for time in file_times(blob(cache_registry, f"acme/blobs/{layer['digest']}"))]
    assert max(times) == early


def test_pushed_digest_is_merged_under_its_tags(
    committed_builder: Builder, cache_registry: str, tmp_path: Path
) -> None:
    image = f"{cache_registry}/merged"
    # Docker's own builder cannot push without a tag (BY_DIGEST), unlike the builder of the pipelines.
    variables = {"IMAGE": image, "TAG": "first", "PLATFORMS": "", "SOURCE_DATE_EPOCH": str(COMMIT_TIME)}
    # SBOMs are generated by an image that is only available from Docker Hub.
    options = ("--push", f"--metadata-file={tmp_path / 'metadata.json'}", "--set=*.attest=type=sbom,disabled=true")
    committed_builder.run("docker", *BAKE, *options, "release", **variables)
    metadata = json.loads((tmp_path / "metadata.json").read_text("utf-8"))
    digest = metadata["release"]["containerimage.digest"]
    create = ("imagetools", "create", f"--tag={image}:v1.2.3", f"--tag={image}:c0ffee", f"{image}@{digest}")
    committed_builder.run("docker", "buildx", *create)
    inspected = committed_builder.run("docker", "buildx", "imagetools", "inspect", f"{image}:v1.2.3").stdout
    (merged,) = re.findall(r"^Digest: *(\S+)$", inspected, re.M)
    index = json.loads(blob(cache_registry, "merged/manifests/c0ffee"))
    assert f"sha256:{hashlib.sha256(blob(cache_registry, 'merged/manifests/c0ffee')).hexdigest()}" == merged
    platforms = [manifest["platform"]["architecture"] for manifest in index["manifests"]]
    assert len(platforms) == 2
    assert "unknown" in platforms, "the provenance was lost"


def file_times(layer: bytes) -> list[float]:
    """Return the modification times of the files in a layer."""
    with tarfile.open(fileobj=BytesIO(layer)) as archive:
        return [member.mtime for member in archive]


# The commands in docs/building.md.

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: it
clusters: [{name: it, cluster: {server: "https://kubernetes.example.com"}}]
contexts: [{name: it, context: {cluster: it, user: it}}]
users: [{name: it, user: {token: none}}]
"""


@pytest.mark.parametrize("app", APPS)
def test_buildx_accepts_the_documented_builders(create_builder: Any, tmp_path: Path, app: str) -> None:
    builder: Builder = create_builder("venv", app)
    commands = re.findall(r"^docker buildx create .*$", builder.project.read("docs/building.md"), re.M)
    (tmp_path / "kubeconfig").write_text(KUBECONFIG, "utf-8")
    here = {"BUILDX_CONFIG": str(tmp_path), "KUBECONFIG": str(tmp_path / "kubeconfig")}
    for command in commands:
        builder.run("sh", "-c", command, **here)
    builders = [json.loads(path.read_text("utf-8")) for path in sorted((tmp_path / "instances").iterdir())]
    assert [(each["Driver"], len(each["Nodes"])) for each in builders] == [("kubernetes", 1), ("remote", 2)]
