"""Property-based tests of answers: each is reproduced exactly or rejected in one line, and none is executed."""

from __future__ import annotations

import contextlib
import email.utils
import io
import json
import operator
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, PathDistribution, distributions
from itertools import combinations, cycle, product
from pathlib import Path
from typing import Any

import cookiecutter.hooks as cookiecutter_hooks
import jinja2
import pytest
import yaml
from cookiecutter import generate
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from tests.conftest import BAKE, QUESTIONS, TEMPLATE, TOOLS, Project, all_pairs, attempts
from tools.engine import Engine
from tools.locks import uv

SOURCE = TEMPLATE / "{{cookiecutter.project_slug}}"
CHOICES = [question for question, default in QUESTIONS.items() if isinstance(default, list)]
TEXTS = ("project_name", "description", "author_name")
LONGEST_TEXT = 10_000
# Except in `make attack`, Hypothesis is derandomised, so that a failure in CI can be reproduced anywhere.
EXAMPLES = attempts(100, 1000)
SETTINGS = settings(
    derandomize="ATTACK" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

# A canary file that exists only if part of an answer was executed.
CANARY = Path(tempfile.gettempdir()) / f"canary-{os.getpid()}"
TOUCH = f"touch {CANARY}"
COMMANDS = [
    f"$({TOUCH})",
    f"`{TOUCH}`",
    f"$(shell {TOUCH})",
    f"${{x:-$({TOUCH})}}",
    f"; {TOUCH}; #",
    f"\n{TOUCH}\n",
    f"\nRUN {TOUCH}\n",
    f"\n\t{TOUCH}\n",
    f'"; import os; os.system("{TOUCH}") #',
    f"'''; import os; os.system('{TOUCH}') #",
    f'"""\nimport os; os.system("{TOUCH}")\n"""',
    f'!!python/object/apply:os.system ["{TOUCH}"]',
]
FRAGMENTS = [
    *("\"'`", "'''", '"""', "\u201c\u2019\u00ab", "\\", "\\n", '\\"', "\\u0041", "\\x", "\\N{DASH}"),
    *(" ", "  ", "\n", "\n\n", "\r", "\r\n", "\t", "\v", "\f", "\0", "\a", "\b", "\x1b[31m", "\x1c", "\x7f"),
    *("\x85", "\x9f", "\xa0", "\u2028", "\u2029", "\u3000", "\ufeff", "\ufffe", "\U0010ffff", "\U000e0001"),
    *("*/", "/*", "//", "#", " # ", "%", "%s", "%(x)s", "%{ if true }", "{0}", "{x!r}", "${", "${x}", "$x", "$$", "}}"),
    *(": ", "- ", "? ", "! ", "&a", "*a", "|", ">", "[", "]", "{", "}", ",", "@", "~", "---\n", "...", "<<EOF", "<<"),
    *("<", "<!--", "<script>", "&amp;", "](x)", "![", "```", "\n# x\n", "\n===\n", ".. raw:: html", "=?utf-8?q?x?="),
    *("\nSummary: x", "\nname = 1", "ARG X", "\u202e", "\u2066", "\u200f", "\u200d", "e\u0301", "a\u0489\u20dd"),
    *("\U0001f40d", "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f1f8\U0001f1ea", "\u5317\u4eac", "\u043f"),
    *("\u0645\u0631\u062d\u0628\u0627", "\u0130", "\xdf", "\ufb01", "null", "yes", "1.0", "0x1", "=", ";", "&&", "||"),
    *COMMANDS,
]
# Complete answers, in addition to those that Hypothesis generates.
EXPLICIT_TEXTS = [
    *FRAGMENTS,
    *(f"a{text}b" for text in FRAGMENTS),
    *("x" * LONGEST_TEXT, "\U0001f40d" * LONGEST_TEXT, '"' * LONGEST_TEXT, "\\" * LONGEST_TEXT, "a " * 5_000),
    *(
        "\u5317\u4eac\u670d\u52a1",
        "\u0645\u0631\u062d\u0628\u0627 \u0628\u0643",
        "\u041f\u0440\u0438\u0432\u0435\u0442",
    ),
    "".join(FRAGMENTS),
]
INVALID_TEXTS = ["x" * (LONGEST_TEXT + 1), "", " ", "\n", "\t\t", "\udcff"]

CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
TEMPLATE_SYNTAX = re.compile(r"\{[{%#]")  # cookiecutter renders it, if it is given as an argument
TEXT = (
    st.lists(st.sampled_from(FRAGMENTS) | CHARACTERS, min_size=1, max_size=5)
    .map("".join)
    .filter(lambda text: not TEMPLATE_SYNTAX.search(text))
)
SLUG = st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,9}){0,3}", fullmatch=True)
COMBINATIONS = [dict(zip(CHOICES, chosen, strict=True)) for chosen in product(*(QUESTIONS[name] for name in CHOICES))]
TYPED = st.fixed_dictionaries(
    dict.fromkeys(TEXTS, TEXT),
    optional={
        "project_slug": SLUG,
        "package_name": SLUG.map(lambda slug: slug.replace("-", "_")),
        "author_email": st.emails(),
    },
)


def is_directory_name(text: str) -> bool:
    """Return whether cookiecutter can create a directory with this name, which it does before it runs the hooks."""
    return not re.search(r"[/\0]", text) and text not in ("", ".", "..") and len(os.fsencode(text)) < 256


def add_choices(typed: dict[str, str]) -> dict[str, str]:
    """Add answers to the multiple-choice questions. A checksum picks them, because Hypothesis would repeat itself."""
    text = repr(typed).replace(str(CANARY), "")  # its name contains the process ID
    return typed | COMBINATIONS[zlib.crc32(text.encode()) % len(COMBINATIONS)]


ANSWERS = TYPED.map(add_choices)
EMAIL = st.tuples(TEXT, TEXT).map("@".join) | st.sampled_from(
    ["a@b@c", "a b@c", '"a b"@c.d', "a@[127.0.0.1]", "a@b.", "\u5317@\u4eac.cn", "a@b>\nX: y", "<a@b.c>"]
)
FLAW = st.one_of(
    st.builds(lambda answer: {"project_slug": answer}, TEXT.filter(is_directory_name)),
    st.builds(lambda answer: {"package_name": answer}, TEXT),
    st.builds(lambda answer: {"author_email": answer}, EMAIL),
)
FLAWED_ANSWERS = st.builds(operator.or_, ANSWERS, FLAW)


def one_line(text: str) -> str:
    """Replace line breaks with spaces, and strip whitespace at the ends."""
    return re.sub(r"[ \t]*\n[ \t\n]*", " ", text).strip(" \t\n")


def licence(project: Project) -> str:
    """Return the SPDX expression of a project's licence."""
    return project.answers["license"].replace("Proprietary", "LicenseRef-Proprietary")


LABEL = re.compile(r"^LABEL org(?:.*\\\n)*.*\n", re.MULTILINE)
PREFIX = re.compile(r"^(LABEL | +)org\.opencontainers\.image\.", re.MULTILINE)


def label_instructions(project: Project) -> list[str]:
    """Return the LABEL instruction of each Dockerfile, except those of the lessons, which contain no answers."""
    dockerfiles = [*project.path.glob("Dockerfile"), *project.path.glob("strategies/*/Dockerfile")]
    found = [LABEL.findall(path.read_text("utf-8")) for path in dockerfiles]
    assert all(len(instructions) == 1 for instructions in found)
    return [instruction for (instruction,) in found]


def labels(project: Project) -> dict[str, str]:
    """Return the labels that a project's image should have, without their common prefix."""
    author = f"{project.answers['author_name']} <{project.answers['author_email']}>"
    return {
        "title": project.slug,
        "description": one_line(project.answers["description"]),
        "authors": one_line(author),
        "licenses": licence(project),
    }


@dataclass
class AnswerStats:
    """Results for the answers that were tried."""

    baked: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    combinations: set[tuple[str, ...]] = field(default_factory=set)
    # The labels that each LABEL instruction should set.
    labels: dict[str, dict[str, str]] = field(default_factory=dict)

    def record(self, project: Project) -> None:
        """Record a generated project and its labels."""
        self.baked += 1
        self.combinations.add(tuple(project.answers[question] for question in CHOICES))
        self.labels |= dict.fromkeys(label_instructions(project), labels(project))

    def __str__(self) -> str:
        """Format the counts on one line."""
        tried = self.baked + self.rejected.total()
        return (
            f"{tried} tried, {self.baked} baked, {len(self.combinations)} combinations, rejected: {dict(self.rejected)}"
        )


def run_hook_here(script: str, cwd: Path | str = ".") -> None:
    """Run a rendered hook in this process, because starting an interpreter for each would double the time."""
    before = signal.getsignal(signal.SIGINT)
    with contextlib.chdir(cwd), contextlib.redirect_stdout(io.StringIO()):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise FailedHookException(str(end.code)) from end
        finally:
            # The hook ignores SIGINT until its process ends; restore the handler for later tests in this process.
            signal.signal(signal.SIGINT, before)


BakeHere = Callable[[dict[str, str]], Project]


@pytest.fixture(scope="module")
def bake_here(tmp_path_factory: pytest.TempPathFactory, rendered_hooks: Path) -> Iterator[BakeHere]:
    """Return a function that generates projects in this process, and compiles and examines each source only once."""
    directory = tmp_path_factory.mktemp("answers")
    config = directory / "config.yaml"
    config.write_text(json.dumps({"replay_dir": str(directory / "replay")}))
    compiled: dict[Any, Any] = {}
    original_compile = jinja2.Environment.compile

    def compile_once(environment: Any, *source: Any) -> Any:
        if source not in compiled:
            compiled[source] = original_compile(environment, *source)
        return compiled[source]

    def bake(answers: dict[str, str]) -> Project:
        output = directory / "projects"
        before = set(output.glob("*"))
        try:
            path = Path(
                cookiecutter(
                    str(TEMPLATE),
                    no_input=True,
                    extra_context=answers,
                    output_dir=str(output),
                    config_file=str(config),
                )
            )
        except FailedHookException:
            assert set(output.glob("*")) == before, "a rejected answer left files behind"
            raise
        plain = {
            question: default[0] if isinstance(default, list) else default for question, default in QUESTIONS.items()
        }
        derived = {"project_slug": path.name, "package_name": path.name.replace("-", "_")}
        # Jinja normalises line breaks.
        given = {question: re.sub(r"\r\n?", "\n", answer) for question, answer in answers.items()}
        return Project(path, {**plain, **derived, **given})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cookiecutter_hooks, "run_script", run_hook_here)
        patch.setattr(jinja2.Environment, "compile", compile_once)
        patch.setattr(generate, "is_binary", cache(generate.is_binary))
        patch.setattr(tempfile, "tempdir", str(rendered_hooks))
        yield bake


# Prepares the metadata of many projects in one process, so that setuptools is imported only once.
BACKEND = """
import contextlib, os, sys, tempfile, traceback
from setuptools import build_meta
for line in sys.stdin:
    os.chdir(line.rstrip("\\n"))
    directory = tempfile.mkdtemp(dir=os.getcwd())
    try:
        with contextlib.redirect_stdout(sys.stderr):
            path = os.path.join(directory, build_meta.prepare_metadata_for_build_wheel(directory))
    except BaseException:
        path = repr(traceback.format_exc())
    print(path, flush=True)
"""


@pytest.fixture(scope="module")
def build_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a virtualenv with the generated project's build dependencies."""
    directory = tmp_path_factory.mktemp("build") / "venv"
    python = directory / "bin/python"
    requirements = SOURCE / "requirements/build.txt"
    for command in (
        ("venv", "--quiet", "--python", sys.executable, directory),
        ("pip", "sync", "--quiet", "--require-hashes", "--python", python, requirements),
    ):
        uv(*command)
    return python


Metadata = Callable[[Project], PathDistribution]


@pytest.fixture(scope="module")
def metadata(build_python: Path) -> Iterator[Metadata]:
    """Return a function that prepares a project's metadata with the build backend and parses it."""
    with subprocess.Popen(
        [str(build_python), "-W", "error", "-c", BACKEND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    ) as backend:
        requests, replies = backend.stdin, backend.stdout
        assert requests is not None
        assert replies is not None

        def prepare(project: Project) -> PathDistribution:
            print(project.path, file=requests, flush=True)
            path = Path(replies.readline().strip())
            assert path.name.endswith(".dist-info"), f"no metadata: {path}"
            return PathDistribution(path)

        yield prepare


class ComposeLoader(yaml.CSafeLoader):  # type: ignore[misc]
    """A YAML loader that accepts `!reset`, the tag with which Compose removes a value."""


ComposeLoader.add_constructor("!reset", lambda *_: None)


@cache
def parse(suffix: str, text: str) -> Any:
    """Parse a file if its format has a parser, and cache the result."""
    match suffix:
        case ".toml":
            return tomllib.loads(text)
        case ".json":
            return json.loads(text)
        case ".yml" | ".yaml":
            return list(yaml.load_all(text, ComposeLoader))
        case ".py" | ".pyi":
            return compile(text, "generated", "exec", dont_inherit=True)
    return None


def check_files(project: Project) -> None:
    """Parse every file, and check the answers in those that contain any."""
    files = {name: (project.path / name).read_bytes().decode("utf-8") for name in project.files}
    values = {name: parse(Path(name).suffix, text) for name, text in files.items()}
    name, description, author, email_address = (project.answers[question] for question in (*TEXTS, "author_email"))
    assert files["README.md"].startswith(f"# {name}\n\n{description}\n\n")
    if project.answers["license"] not in ("Apache-2.0", "GPL-3.0-or-later"):
        assert f" {author}" in files["LICENSE"]
    table = values["pyproject.toml"]["project"]
    assert table["name"] == project.slug
    assert table["description"] == one_line(description)
    assert table["authors"] == [{"name": one_line(author), "email": email_address}]
    assert table["license"] == licence(project)
    assert table["scripts"] == {project.slug: f"{project.package}.cli:main"}
    if project.answers["app"] == "service":
        (compose,) = values["deploy/compose.yaml"]
        assert {key: service["image"] for key, service in compose["services"].items()} == {project.slug: project.slug}
        (namespace,) = values["deploy/kubernetes/overlays/production/namespace.yaml"]
        assert namespace["metadata"]["name"] == project.slug
    native = "src/{}/_native.c"
    compiled = SOURCE / native.format("{{cookiecutter.package_name}}")
    assert files[native.format(project.package)] == compiled.read_text("utf-8"), "the C source contains an answer"


def check_metadata(project: Project, distribution: Distribution) -> None:
    """Compare a distribution's metadata with the answers."""
    message = distribution.metadata
    assert message["Name"] == project.slug
    assert message["Summary"] == one_line(project.answers["description"])
    assert message["License-Expression"] == licence(project)
    name, address = email.utils.parseaddr(message["Author-email"])
    # The header may be folded, and its parser collapses whitespace.
    assert re.sub("[ \t]+", " ", name) == re.sub("[ \t]+", " ", one_line(project.answers["author_name"]))
    assert address == project.answers["author_email"]
    assert message.get_all("License-File") == ["LICENSE"]
    assert message["Description"] == project.read("README.md")


PLAIN_EMAIL = re.compile(r"[\w-]+(\.[\w-]+)*@[\w-]+(\.[\w-]+)+", re.ASCII)


def is_valid(question: str, answer: str) -> bool:
    """Return whether an answer should be accepted, without checking for reserved names."""
    if question in TEXTS:
        return (
            bool(answer.strip()) and len(answer) <= LONGEST_TEXT and not re.search(r"\{[{%#]|[\ud800-\udfff]", answer)
        )
    if question == "author_email":
        return len(answer) <= 254 and bool(PLAIN_EMAIL.fullmatch(answer))
    return False


def check_accepted(answers: dict[str, str]) -> None:
    """Check that accepted answers meet the documented rules."""
    assert all(is_valid(question, answers[question]) for question in TEXTS)
    assert len(answers["author_email"]) <= 254
    for question, separator in (("project_slug", "-"), ("package_name", "_")):
        assert re.fullmatch(rf"[a-z][a-z0-9]*({separator}[a-z0-9]+)*", answers[question])
        assert len(answers[question]) <= 63


def check_rejection(answers: dict[str, str], sentence: str) -> str:
    """Check that an answer was rejected with a valid one-line message, and return the question."""
    question = sentence.partition(":")[0]
    assert re.fullmatch(r'\w+: ".*" is not valid\. Use .*; for example ".+"\.', sentence)
    assert sentence.isascii()
    assert question in answers, "a default or a derived name was rejected"
    assert not is_valid(question, answers[question])
    return question


@pytest.fixture(scope="module")
def answer_stats(bake_here: BakeHere, metadata: Metadata) -> AnswerStats:
    """Generate projects from all answers, and return the results."""
    answer_stats = AnswerStats()

    def attempt(answers: dict[str, str]) -> None:
        note(ascii(answers))
        try:
            project = bake_here(answers)
        except FailedHookException as rejection:
            answer_stats.rejected[check_rejection(answers, str(rejection))] += 1
        else:
            try:
                check_accepted(project.answers)
                check_files(project)
                check_metadata(project, metadata(project))
                answer_stats.record(project)
            finally:
                shutil.rmtree(project.path)
        assert not CANARY.exists(), "part of an answer was executed"

    attempt_any = given(ANSWERS)(attempt)
    for answers in explicit_answers():
        attempt_any = example(answers)(attempt_any)
    settings(SETTINGS, max_examples=EXAMPLES)(attempt_any)()
    settings(SETTINGS, max_examples=EXAMPLES // 3)(given(FLAWED_ANSWERS)(attempt))()
    return answer_stats


def explicit_answers() -> Iterator[dict[str, str]]:
    """Build answer sets from the explicit texts: three valid texts and some choices per set, or one invalid text."""
    choices = cycle(all_pairs({question: QUESTIONS[question] for question in CHOICES}))
    for number in range(0, len(EXPLICIT_TEXTS), len(TEXTS)):
        fixed = {"project_slug": "named", "author_email": "ada@example.com"}
        yield {**fixed, **dict(zip(TEXTS, EXPLICIT_TEXTS[number:], strict=False)), **next(choices)}
    for text in INVALID_TEXTS:
        yield from ({question: text} for question in (*TEXTS, "package_name", "author_email"))
        if is_directory_name(text):
            yield {"project_slug": text}


@pytest.mark.attack
@pytest.mark.usefixtures("index")
def test_answers_are_either_reproduced_or_rejected(answer_stats: AnswerStats) -> None:
    print(answer_stats)
    assert answer_stats.baked >= 0.7 * EXAMPLES
    assert answer_stats.rejected.keys() == set(QUESTIONS) - set(CHOICES)
    for pair in combinations(range(len(CHOICES)), 2):
        expected = len(QUESTIONS[CHOICES[pair[0]]]) * len(QUESTIONS[CHOICES[pair[1]]])
        assert len({(chosen[pair[0]], chosen[pair[1]]) for chosen in answer_stats.combinations}) == expected


def all_labels(answer_stats: AnswerStats) -> tuple[str, dict[str, str]]:
    """Return a Dockerfile with the numbered labels of all projects, and the expected labels."""
    dockerfile = "FROM scratch\n"
    expected: dict[str, str] = {}
    for number, (instruction, labels) in enumerate(answer_stats.labels.items()):
        dockerfile += PREFIX.sub(rf"\g<1>n{number}.", instruction)
        expected |= {f"n{number}.{name}": value for name, value in labels.items()}
    return dockerfile, expected


def test_image_labels_match_answers(answer_stats: AnswerStats, engine: Engine) -> None:
    dockerfile, expected = all_labels(answer_stats)
    tag = f"test-answers-{os.getpid()}"
    engine.docker("build", "--quiet", "--tag", tag, "-", input=dockerfile)
    try:
        found = json.loads(engine.docker("inspect", "--format", "{{json .Config.Labels}}", tag).stdout)
    finally:
        engine.docker("image", "rm", tag)
    assert {name: value for name, value in found.items() if expected.get(name) != value} == {}
    assert found.keys() == expected.keys()


def test_labels_pass_linters(answer_stats: AnswerStats, engine: Engine) -> None:
    dockerfile, _ = all_labels(answer_stats)
    hadolint = subprocess.run([TOOLS / "hadolint", "-"], input=dockerfile, capture_output=True, text=True, check=False)
    assert (hadolint.returncode, hadolint.stdout + hadolint.stderr) == (0, "")
    assert "no warnings found" in engine.docker("build", "--check", "-", input=dockerfile).stdout


WORST_CASES = {
    "everything": ("".join(FRAGMENTS), "user", "gitlab", "Proprietary"),
    "commands": (" ".join(COMMANDS), "all", "github", "MIT"),
    "ten thousand": ("\U0001f40d" * LONGEST_TEXT, "platter", "none", "BSD-3-Clause"),
}


@pytest.fixture(scope="module", params=WORST_CASES)
def worst_case_project(request: pytest.FixtureRequest, bake_here: BakeHere) -> Project:
    """Generate a project from worst-case answers."""
    text, strategy, ci, license_ = WORST_CASES[request.param]
    texts = dict.fromkeys(TEXTS, text)
    slug = request.param.replace(" ", "-")
    return bake_here({**texts, "project_slug": slug, "strategy": strategy, "ci": ci, "license": license_})


@pytest.mark.usefixtures("index")
def test_wheel_builds_with_worst_case_answers(worst_case_project: Project, build_python: Path, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "uv")
    build = (*command, "build", "--wheel", "--no-build-isolation", "--python", build_python, "--out-dir", tmp_path)
    result = worst_case_project.run(*build, env={**os.environ, "CFLAGS": "-O0 -Wall -Wextra -Werror"})
    assert result.returncode == 0, result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    result = worst_case_project.run(
        *command, "pip", "install", "--no-deps", "--python", build_python, "--target", installed, wheel
    )
    assert result.returncode == 0, result.stderr
    (distribution,) = distributions(path=[str(installed)])
    check_metadata(worst_case_project, distribution)
    script = f"import {worst_case_project.package} as package; print(hex(package.crc32c(b'123456789')))"
    result = worst_case_project.run(build_python, "-c", script, env={"PYTHONPATH": str(installed)})
    assert (result.stdout, result.stderr) == ("0xe3069283\n", "")
    assert not CANARY.exists()


def test_tools_execute_no_part_of_worst_case_answers(
    worst_case_project: Project, engine: Engine, base_image: Callable[[str], str]
) -> None:
    base_image(worst_case_project.answers["python_version"])
    commands: list[tuple[str | Path, ...]] = [
        ("make", "help"),
        ("make", "--dry-run", "dev", "test", "lint", "lock", "image", "test-image", "run", "clean"),
        (TOOLS / "python", "-W", "error", "-c", "import ast, pathlib; ast.parse(pathlib.Path('setup.py').read_text())"),
        ("docker", *BAKE, "--print", "image", "test-image", "release"),
        *(("docker", "build", "--check", "--file", path, ".") for path in worst_case_project.path.rglob("Dockerfile")),
        *((TOOLS / "hadolint", path) for path in worst_case_project.path.rglob("Dockerfile")),
        *(("sh", "-n", path) for path in worst_case_project.path.rglob("*.sh")),
        *((TOOLS / "shellcheck", path) for path in worst_case_project.path.rglob("*.sh")),
    ]
    for command in commands:
        result = worst_case_project.run(*command, env=engine.environment)
        assert result.returncode == 0, (command, result.stdout, result.stderr)
    assert not CANARY.exists()


@pytest.mark.parametrize(("app", "ci"), [("service", "github"), ("cli", "gitlab")])
def test_text_answers_appear_only_in_documented_files(bake_here: BakeHere, app: str, ci: str) -> None:
    def texts(answer: str) -> dict[str, bytes]:
        free = {**dict.fromkeys(TEXTS, answer), "author_email": f"{answer}@example.com"}
        project = bake_here({**free, "project_slug": "same", "app": app, "ci": ci, "strategy": "all"})
        found = {name: (project.path / name).read_bytes() for name in project.files}
        shutil.rmtree(project.path)
        return found

    one, other = texts("one"), texts("other")
    assert one.keys() == other.keys()
    differing = {name for name in one if one[name] != other[name]}
    dockerfiles = {f"strategies/{name}/Dockerfile" for name in QUESTIONS["strategy"] if name != "all"}
    contact = {"src/same/api.py"} if app == "service" else set()
    assert differing == {"README.md", "LICENSE", "pyproject.toml", *contact, *dockerfiles}
    for name in dockerfiles:
        assert LABEL.sub("", one[name].decode()) == LABEL.sub("", other[name].decode())


DERIVED = {
    "Checksum -- Service": "checksum-service",
    "Café Münster": "cafe-munster",
    "\u5317\u4eac\u670d\u52a1": "bei-jing-fu-wu",
    "\u65e5\u672c\u8a9e": "ri-ben-yu",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645": "mrhb-bl-lm",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440": "privet-mir",
    "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac": "ellenika",
    "\u05e2\u05d1\u05e8\u05d9\u05ea": "bryt",
    "\U0001f40d\U0001f40d": "project",
    "...": "project",
    "3D Tool": "project-3d-tool",
    "Python": "project-python",
    "FastAPI": "project-fastapi",
    "Default": "project-default",
    "word " * 30: "-".join(["word"] * 12),
    "x" * 62 + " yz": "x" * 62,
    "x" * 100: "x" * 63,
    "9" * 100: "project-" + "9" * 55,
    "9" * 54 + " 99": "project-" + "9" * 54,
}


@pytest.mark.parametrize("name", DERIVED)
def test_derived_slug_is_valid(bake_here: BakeHere, name: str) -> None:
    project = bake_here({"project_name": name, "app": "cli", "ci": "none"})
    shutil.rmtree(project.path)
    assert project.slug == DERIVED[name]
