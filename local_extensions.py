"""What the template's Jinja environment knows beyond cookiecutter's own filters.

The validators refuse answers that cannot work before a file is written; the
quoting filters carry every other answer intact into the format it lands in.
"""

from __future__ import annotations

import atexit
import importlib.metadata
import json
import keyword
import os
import re
import runpy
import shlex
import sys
from email.errors import MessageError
from email.headerregistry import Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookiecutter.exceptions import FailedHookException
from cookiecutter.utils import work_in
from jinja2 import pass_context
from jinja2.ext import Extension

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2 import Environment
    from jinja2.runtime import Context

PROJECT = "{{cookiecutter.project_slug}}"
PACKAGE_FOLDER = "{{cookiecutter.package_name}}"
VARIANTS = "_variants"

OLDEST_COOKIECUTTER = (2, 2)  # older versions cannot include the files in templates/
OLDEST_PYTHON = (3, 10)
LONGEST_NAME = 63  # a DNS label: the slug becomes a host name in Compose and Kubernetes
LONGEST_TEXT = 10_000  # BuildKit refuses a line of a Dockerfile from 64 KiB on, and a character has up to 4 bytes
LONGEST_EMAIL = 254  # RFC 5321 allows 256 with the angle brackets
TEMPLATE_SYNTAX = re.compile(r"\{[{%#]")
TEMPLATE_EXPRESSION = re.compile(r"\{[{%#].*?(?:[}%#]\}|$)", re.DOTALL)
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PACKAGE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
SURROGATE = re.compile("[\ud800-\udfff]")  # what Python makes of bytes that are no UTF-8
# Names that something else in the project, its image or on Windows already has.
TAKEN = {"python", "python3", "pip", "pip3", "pex", "tests", "con", "prn", "aux", "nul"}
# The namespaces of every Kubernetes cluster: the service gets one of its own.
TAKEN |= {"default", "kube-node-lease", "kube-public", "kube-system"}
TAKEN |= {f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10)}
# Words that YAML reads as something else than text.
TAKEN |= {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
# Modules that one Python from 3.10 to 3.15 has and another has not: which of them runs cookiecutter must not matter.
PASSING_MODULES = """
aifc annotationlib asynchat asyncore audioop binhex cgi cgitb chunk compression crypt distutils imghdr imp lib2to3
mailcap msilib nis nntplib ossaudiodev pipes profiling smtpd sndhdr spwd sre_compile sre_constants sre_parse sunau
telnetlib tomllib uu xdrlib
"""
TAKEN |= set(PASSING_MODULES.split())
TARGETS = {"image", "test-image", "artifacts", "release"}  # of docker-bake.hcl


def check_versions(cookiecutter: str, python: tuple[int, ...]) -> None:
    """Check that this cookiecutter and its Python can generate the project.

    Raises:
        FailedHookException: one is too old; cookiecutter shows its text alone, and ends with status 1.

    """
    found = tuple(map(int, re.findall(r"\d+", cookiecutter)[:2]))
    if found < OLDEST_COOKIECUTTER or python < OLDEST_PYTHON:
        oldest, oldest_python, this_python = map(dotted, (OLDEST_COOKIECUTTER, OLDEST_PYTHON, python))
        raise FailedHookException(
            f"This template needs cookiecutter {oldest} or later on Python {oldest_python} or later, "
            f"and this is {cookiecutter} on {this_python}: try `pipx run cookiecutter` or `uvx cookiecutter`."
        )


def dotted(version: tuple[int, ...]) -> str:
    """Write a version as people do."""
    return ".".join(map(str, version))


def template_folder() -> Path:
    """Find the folder that is being rendered.

    Cookiecutter works in it or beside it. That comes before the place of this module, because a process
    that renders several templates may have imported it from another one.
    """
    folders = (Path.cwd(), Path.cwd() / PROJECT, Path(__file__).parent / PROJECT)
    return next(folder for folder in folders if folder.name == PROJECT and (folder / VARIANTS).is_dir())


def locked_versions() -> dict[str, str]:
    """Tell the version of every distribution that a lock file of the template installs, by lower-case name."""
    paths = template_folder().glob("**/*.txt")
    locks = sorted(path for path in paths if path.parent.name == "requirements" or path.name.startswith("requirements"))
    return dict(pin for lock in locks for pin in re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text("utf-8"), re.M))


def bake_targets() -> set[str]:
    """List the names that a service in compose.yaml cannot have, because bake takes it for a target, too."""
    return TARGETS | {f"{target}-{strategy}" for target in TARGETS for strategy in strategies({"strategy": "all"})}


def is_taken(name: str) -> bool:
    """Tell whether a distribution or package of this name would hide another one."""
    taken = TAKEN | bake_targets() | locked_versions().keys() | {module.lower() for module in sys.stdlib_module_names}
    return bool({name, name.replace("_", "-"), name.replace("-", "_")} & taken) or keyword.iskeyword(name)


def fits(pattern: re.Pattern[str], name: str) -> bool:
    """Tell whether a name has the wanted form, a bearable length, and is free."""
    return bool(pattern.fullmatch(name)) and len(name) <= LONGEST_NAME and not is_taken(name)


def is_text(value: str) -> bool:
    """Tell whether an answer holds something to read, and every file can hold it."""
    return bool(value.strip()) and len(value) <= LONGEST_TEXT and not SURROGATE.search(value)


def is_slug(value: str) -> bool:
    """Tell whether a slug can name a folder, a distribution, a command and an image."""
    return fits(SLUG, value)


def is_package(value: str) -> bool:
    """Tell whether a package name can be imported without hiding another one."""
    return fits(PACKAGE, value)


def is_email(value: str) -> bool:
    """Tell whether the packaging metadata can hold an e-mail address."""
    try:
        return "@" in value and len(value) <= LONGEST_EMAIL and Address(addr_spec=value).addr_spec == value
    except (MessageError, ValueError, IndexError):
        return False


TEXT_RULE = f"any text in UTF-8 that is not blank, of at most {LONGEST_TEXT:,} characters"
EMAIL_RULE = f"an e-mail address with an @, of at most {LONGEST_EMAIL} ASCII characters"
NAME_RULE = f"at most {LONGEST_NAME} characters, and no name that Python, YAML or a requirement already has"
# field: (test, what is allowed, an example)
RULES: dict[str, tuple[Callable[[str], bool], str, str]] = {
    "project_name": (is_text, TEXT_RULE, "Checksum Service"),
    "project_slug": (is_slug, f"lower-case letters, digits and single hyphens, {NAME_RULE}", "checksum-service"),
    "package_name": (is_package, f"lower-case letters, digits and single underscores, {NAME_RULE}", "checksum_service"),
    "description": (is_text, TEXT_RULE, "CRC-32C checksums over HTTP."),
    "author_name": (is_text, TEXT_RULE, "Ada Lovelace"),
    "author_email": (is_email, EMAIL_RULE, "ada@example.com"),
}


def problem(field: str, value: str) -> str | None:
    """Say in one sentence what is wrong with an answer, or return None.

    Args:
        field: name of the question, a key of RULES.
        value: the answer.

    """
    test, allowed, example = RULES[field]
    shown = json.dumps(value if len(value) <= 2 * LONGEST_NAME else value[: 2 * LONGEST_NAME] + "...")
    if TEMPLATE_SYNTAX.search(value):
        return f"{field}: {shown} holds template syntax: leave out '{{{{', '{{%' and '{{#', for example \"{example}\"."
    if not test(value):
        return f'{field}: {shown} cannot be used: give {allowed}, for example "{example}".'
    return None


def kept(answers: Mapping[str, object], fields: list[str]) -> str:
    """Tell somebody at a terminal how to be asked again without typing the good answers again."""
    if not fields or not sys.stdin.isatty():
        return ""
    arguments = " ".join(f"{field}={shlex.quote(str(answers[field]))}" for field in fields)
    hint = f"\nTo keep the other answers, put them at the end of the command: {arguments}"
    return hint.encode(sys.stdout.encoding, "replace").decode(sys.stdout.encoding)


def checked(answers: Mapping[str, object]) -> bool:
    """Return True when each answer can work: cruft writes that down in the project, so it is short.

    Raises:
        FailedHookException: cookiecutter shows its text alone, and ends with status 1.

    """
    found = {field: problem(field, str(answers[field])) for field in RULES if field in answers}
    if refused := next(filter(None, found.values()), None):
        raise FailedHookException(refused + kept(answers, [field for field in found if not found[field]]))
    return True


def usable(slug: str) -> str:
    """Put a word before a derived slug that would be refused: empty, taken, or with a digit first."""
    return slug if is_slug(slug) else f"project-{slug}"[:LONGEST_NAME].rstrip("-")


def one_line(value: str) -> str:
    """Turn line breaks into spaces, and trim: package metadata hold neither line breaks nor blanks at the ends."""
    lines = (line.strip(" \t") for line in re.split(r"[\r\n]", value))
    return " ".join(filter(None, lines))


def literal(value: str) -> str:
    """Quote a text as a string that TOML, YAML, JSON and Python all read back the same."""
    quoted = json.dumps(value, ensure_ascii=False)
    # JSON allows these in the open; TOML (DEL and controls) and YAML (line separators) do not.
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff]", lambda match: f"\\u{ord(match[0]):04x}", quoted)


def label(value: str) -> str:
    """Quote a text as a Dockerfile LABEL value, in which backslash, quote and dollar are special."""

    def escaped(text: str) -> str:
        return re.sub(r'([\\"$])', r"\\\1", text)

    # Hadolint takes a quote after an escaped backslash for an escaped one: such backslashes stand outside of quotes.
    quoted, *rest = re.split(r'(?<!\\)(\\+)(?="|\Z)', one_line(value))
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return f'"{escaped(quoted)}"' + "".join(f'{escaped(slashes)}"{escaped(text)}"' for slashes, text in pairs)


def generated_paths(package_name: str) -> list[str]:
    """List the files that every project gets, whatever its answers, as POSIX paths."""
    folder = template_folder()
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    common = (name for name in names if not name.startswith(f"{VARIANTS}/"))
    return sorted(name.replace(PACKAGE_FOLDER, package_name) for name in common)


def strategies(answers: Mapping[str, str], stage: str = "") -> list[str]:
    """List the strategies that a project has, or those of them whose Dockerfile has a stage."""
    chosen = "*" if answers["strategy"] == "all" else answers["strategy"]
    dockerfiles = (template_folder() / VARIANTS / "strategy").glob(f"{chosen}/Dockerfile")
    wanted = re.compile(rf"^FROM .* AS {stage}$" if stage else "", re.MULTILINE)
    return sorted(path.parent.name for path in dockerfiles if wanted.search(path.read_text("utf-8")))


def strategy_label(strategy: str) -> str:
    """Tell what a strategy does, in the words of the question."""
    questions = json.loads((template_folder().parent / "cookiecutter.json").read_text("utf-8"))
    described: str = questions["__prompts__"]["strategy"][strategy]
    return described.removeprefix(f"{strategy}: ")


def strategy_files(answers: Mapping[str, str]) -> list[str]:
    """List what the strategies bring for a build to see, by its first folder; every build sees the lock files."""
    folders = (template_folder() / VARIANTS / "strategy" / name for name in strategies(answers))
    names = {path.name for folder in folders for path in folder.iterdir()}
    return sorted(name for name in names if name != "Dockerfile" and not name.startswith("requirements"))


def dockerfile(answers: Mapping[str, str], strategy: str) -> str:
    """Tell where a strategy's Dockerfile is: it lies aside when all are kept."""
    return f"strategies/{strategy}/Dockerfile" if answers["strategy"] == "all" else "Dockerfile"


def docker_build(answers: Mapping[str, str], strategy: str) -> str:
    """Write the command that builds a strategy's Dockerfile, and names it where it lies aside."""
    path = dockerfile(answers, strategy)
    return "docker build" if path == "Dockerfile" else f"docker build --file {path}"


def own_expressions() -> set[str]:
    """List what the template's questions, hooks and paths have Jinja compute: whatever else is unnamed is an answer."""
    root = template_folder().parent
    texts = (path.read_text("utf-8") for path in (root / "cookiecutter.json", *root.glob("hooks/*.py")))
    return {found for text in (PROJECT, PACKAGE_FOLDER, *texts) for found in TEMPLATE_EXPRESSION.findall(text)}


@pass_context
def names(context: Context) -> str:
    """List the words of the project's and its author's names, as codespell wants what it is to leave alone."""
    fields = ("project_slug", "package_name", "project_name", "author_name")
    words = (re.findall(r"[\w'\u2019-]+", context["cookiecutter"][field].lower()) for field in fields)
    return ",".join(dict.fromkeys(word for found in words for word in found))


def hook(name: str) -> dict[str, Any]:
    """Load what a hook defines: a hook cannot import from here, and its rules are to be written once."""
    return runpy.run_path(str(template_folder().parent / "hooks" / f"{name}.py"))


def targets(answers: Mapping[str, str]) -> list[str]:
    """List the files that a project with these answers has, as POSIX paths."""
    package = answers["package_name"]
    generated = generated_paths("{{cookiecutter.package_name}}")
    brought = hook("post_gen_project")["planned"](template_folder() / VARIANTS, answers, generated)
    names = (*generated, *(target.as_posix() for target in brought))
    return sorted(name.replace("{{cookiecutter.package_name}}", package) for name in names)


def room() -> int:
    """Tell how many bytes suffice while a project is generated, with all variants in it."""
    # Blocks of 4 KiB; each file may grow by half of its size and a block when its template is rendered.
    sizes = (path.stat().st_size for path in template_folder().rglob("*"))
    return sum(4096 * (1 + -(-3 * size // 8192)) for size in sizes)


def needs(answers: Mapping[str, str]) -> dict[str, Any]:
    """Tell what the first hook looks for: which files will be written, and how many bytes they take."""
    return {"targets": targets(answers), "room": room()}


def tell_what_is_left(project: Path, *, new: bool) -> None:
    """Say what a generation that stopped left behind: the variants' folder is there until the last hook's end."""
    if not os.path.lexists(project / VARIANTS):
        return
    if new:
        left = f"{project} is incomplete: remove it before you generate it again."
    else:
        left = (
            f"In {project}, files that the template brings may be replaced or cut short; all others are as they were. "
            f"{VARIANTS}/ is the template's: remove it before you generate again."
        )
    print(f"The generation stopped before its end. {left}", file=sys.stderr)


def placed(answers: Mapping[str, str]) -> str:
    """Return the name of the project's folder, when everything in the project can be written.

    Raises:
        FailedHookException: cookiecutter shows its text alone, and ends with status 1.

    """
    checked(answers)
    slug = answers["project_slug"]
    # Cruft does not tell these: there the first hook looks.
    if {"_output_dir", "_repo_dir"} <= answers.keys():
        project = Path(answers["_output_dir"], slug)
        try:
            with work_in(answers["_repo_dir"]):
                found = hook("pre_gen_project")["problem"](project, **needs(answers))
        except ValueError as mistake:
            found = f"The template has a mistake: {mistake}"
        if found:
            raise FailedHookException(f"{found} Nothing was changed.")
        atexit.register(tell_what_is_left, project, new=not project.exists())
    return slug


class Answers(Extension):
    """Gives the filters above to the template, and refuses answers that are themselves templates.

    It also has cookiecutter look at the target before it makes the project's folder: when it renders the folder's name.
    """

    def __init__(self, environment: Environment) -> None:
        """Add the filters and functions to cookiecutter's environment."""
        check_versions(importlib.metadata.version("cookiecutter"), sys.version_info[:2])
        super().__init__(environment)
        self.own = own_expressions()
        # `cruft update` renders two versions of the template in one process: each is to import its own module.
        sys.modules.pop(__name__, None)
        environment.filters.update(
            checked=checked,
            docker_build=docker_build,
            dockerfile=dockerfile,
            label=label,
            literal=literal,
            needs=needs,
            one_line=one_line,
            placed=placed,
            strategies=strategies,
            strategy_files=strategy_files,
            strategy_label=strategy_label,
            usable=usable,
        )
        environment.globals.update(
            generated_paths=generated_paths,
            names=names,
        )

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        """Look at the target with the folder's name, and keep an answer from being rendered: `checked` refuses it."""

        def inert(found: re.Match[str]) -> str:
            return found[0] if found[0] in self.own else TEMPLATE_SYNTAX.sub(r"""{{ '\g<0>' }}""", found[0])

        if name is None and source == PROJECT:
            return "{{ cookiecutter | placed }}"
        return TEMPLATE_EXPRESSION.sub(inert, source) if name is None else source
