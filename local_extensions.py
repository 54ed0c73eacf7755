"""What the template's Jinja environment knows beyond cookiecutter's own filters.

The validators refuse answers that cannot work before a file is written; the
quoting filters carry every other answer intact into the format it lands in.
"""

from __future__ import annotations

import json
import keyword
import re
import sys
from email.errors import MessageError
from email.headerregistry import Address
from pathlib import Path
from typing import TYPE_CHECKING

from cookiecutter.exceptions import FailedHookException
from jinja2 import pass_context
from jinja2.ext import Extension

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2 import Environment
    from jinja2.runtime import Context

PROJECT = "{{cookiecutter.project_slug}}"
VARIANTS = "_variants"

LONGEST_NAME = 63  # a DNS label: the slug becomes a host name in Compose and Kubernetes
TEMPLATE_SYNTAX = re.compile(r"\{[{%#]")
TEMPLATE_EXPRESSION = re.compile(r"\{[{%#].*?(?:[}%#]\}|$)", re.DOTALL)
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PACKAGE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# Names that something else in the project, its image or on Windows already has.
TAKEN = {"python", "python3", "pip", "pip3", "pex", "tests", "con", "prn", "aux", "nul"}
# The targets of docker-bake.hcl: bake reads the services of compose.yaml as targets, too.
TAKEN |= {"image", "test-image", "artifacts", "release"}
TAKEN |= {f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10)}
# Words that YAML reads as something else than text.
TAKEN |= {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def template_folder() -> Path:
    """Find the folder that is being rendered.

    Cookiecutter works in it or beside it. That comes before the place of this module, because
    `cruft update` renders two versions of the template in one process, which imports it once.
    """
    folders = (Path.cwd(), Path.cwd() / PROJECT, Path(__file__).parent / PROJECT)
    return next(folder for folder in folders if folder.name == PROJECT and (folder / VARIANTS).is_dir())


def locked_versions() -> dict[str, str]:
    """Tell the version of every distribution that a lock file of the template installs, by lower-case name."""
    locks = sorted(template_folder().glob("**/requirements*.txt"))
    return dict(pin for lock in locks for pin in re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text("utf-8"), re.M))


def locked(name: str) -> str:
    """Tell the version that the lock files install, for a file that names it once more."""
    return locked_versions()[name]


def is_taken(name: str) -> bool:
    """Tell whether a distribution or package of this name would hide another one."""
    taken = TAKEN | locked_versions().keys() | {module.lower() for module in sys.stdlib_module_names}
    return bool({name, name.replace("_", "-"), name.replace("-", "_")} & taken) or keyword.iskeyword(name)


def fits(pattern: re.Pattern[str], name: str) -> bool:
    """Tell whether a name has the wanted form, a bearable length, and is free."""
    return bool(pattern.fullmatch(name)) and len(name) <= LONGEST_NAME and not is_taken(name)


def is_text(value: str) -> bool:
    """Tell whether an answer holds something to read."""
    return bool(value.strip())


def is_slug(value: str) -> bool:
    """Tell whether a slug can name a folder, a distribution, a command and an image."""
    return fits(SLUG, value)


def is_package(value: str) -> bool:
    """Tell whether a package name can be imported without hiding another one."""
    return fits(PACKAGE, value)


def is_email(value: str) -> bool:
    """Tell whether the packaging metadata can hold an e-mail address."""
    try:
        return "@" in value and Address(addr_spec=value).addr_spec == value
    except (MessageError, ValueError, IndexError):
        return False


NAME_RULE = f"at most {LONGEST_NAME} characters, and no name that Python, YAML or a requirement already has"
# field: (test, what is allowed, an example)
RULES: dict[str, tuple[Callable[[str], bool], str, str]] = {
    "project_name": (is_text, "any text that is not blank", "Checksum Service"),
    "project_slug": (is_slug, f"lower-case letters, digits and single hyphens, {NAME_RULE}", "checksum-service"),
    "package_name": (is_package, f"lower-case letters, digits and single underscores, {NAME_RULE}", "checksum_service"),
    "description": (is_text, "any text that is not blank", "CRC-32C checksums over HTTP."),
    "author_name": (is_text, "any text that is not blank", "Ada Lovelace"),
    "author_email": (is_email, "an e-mail address with an @", "ada@example.com"),
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


def checked(answers: Mapping[str, object]) -> Mapping[str, object]:
    """Return the answers as they are when each can work.

    Raises:
        FailedHookException: cookiecutter shows its text alone, and ends with status 1.

    """
    problems = (problem(field, str(answers[field])) for field in RULES if field in answers)
    if found := next(filter(None, problems), None):
        raise FailedHookException(found)
    return answers


def one_line(value: str) -> str:
    """Turn line breaks into spaces, for formats that cannot hold them: package metadata, image labels."""
    return re.sub(r"\s*[\r\n]\s*", " ", value)


def literal(value: str) -> str:
    """Quote a text as a string that TOML, YAML, JSON and Python all read back the same."""
    quoted = json.dumps(value, ensure_ascii=False)
    # JSON allows these in the open; TOML (DEL and controls) and YAML (line separators) do not.
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff]", lambda match: f"\\u{ord(match[0]):04x}", quoted)


def label(value: str) -> str:
    """Quote a text as a Dockerfile LABEL value, in which backslash, quote and dollar are special."""
    return '"' + re.sub(r'([\\"$])', r"\\\1", one_line(value)) + '"'


def generated_paths(package_name: str) -> list[str]:
    """List the files that every project gets, whatever its answers, as POSIX paths."""
    folder = template_folder()
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    common = (name for name in names if not name.startswith(f"{VARIANTS}/"))
    return sorted(name.replace("{{cookiecutter.package_name}}", package_name) for name in common)


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


@pass_context
def names(context: Context) -> str:
    """List the words of the project's and its author's names, as codespell wants what it is to leave alone."""
    fields = ("project_slug", "package_name", "project_name", "author_name")
    words = (re.findall(r"[\w'\u2019-]+", context["cookiecutter"][field].lower()) for field in fields)
    return ",".join(dict.fromkeys(word for found in words for word in found))


class Answers(Extension):
    """Gives the filters above to the template, and refuses answers that are themselves templates."""

    def __init__(self, environment: Environment) -> None:
        """Add the filters and functions to cookiecutter's environment."""
        super().__init__(environment)
        environment.filters.update(
            checked=checked,
            docker_build=docker_build,
            dockerfile=dockerfile,
            label=label,
            literal=literal,
            one_line=one_line,
            strategies=strategies,
            strategy_files=strategy_files,
            strategy_label=strategy_label,
        )
        environment.globals.update(
            generated_paths=generated_paths,
            locked=locked,
            names=names,
        )

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        """Stop cookiecutter from rendering an answer given on the command line.

        Raises:
            FailedHookException: the string is no file and no expression of the template's own.

        """
        foreign = (found for found in TEMPLATE_EXPRESSION.findall(source) if "cookiecutter" not in found)
        if name is None and any(foreign):
            message = f"{json.dumps(source)} holds template syntax: leave out '{{{{', '{{%' and '{{#' in answers."
            raise FailedHookException(message)
        return source
