"""Jinja filters and functions that this template adds to cookiecutter's.

The validators reject invalid answers before any file is written. The quoting
filters escape valid answers for each file format.
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
PACKAGE_DIR = "{{cookiecutter.package_name}}"
VARIANTS = "_variants"

OLDEST_COOKIECUTTER = (2, 2)  # older versions cannot include the files in templates/
OLDEST_PYTHON = (3, 10)
LONGEST_NAME = 63  # a DNS label: the slug becomes a host name in Compose and Kubernetes
LONGEST_TEXT = 10_000  # BuildKit rejects Dockerfile lines of 64 KiB or more; a character has up to 4 bytes
LONGEST_EMAIL = 254  # RFC 5321 allows 256 with the angle brackets
TEMPLATE_SYNTAX = re.compile(r"\{[{%#]")
TEMPLATE_EXPRESSION = re.compile(r"\{[{%#].*?(?:[}%#]\}|$)", re.DOTALL)
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PACKAGE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
SURROGATE = re.compile("[\ud800-\udfff]")  # stands for a byte that is not valid UTF-8
# Names that are already in use in the project or its image, or reserved on Windows.
RESERVED = {"python", "python3", "pip", "pip3", "pex", "tests", "con", "prn", "aux", "nul"}
# Namespaces of every Kubernetes cluster; the service has its own.
RESERVED |= {"default", "kube-node-lease", "kube-public", "kube-system"}
RESERVED |= {f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10)}
# Words that YAML does not parse as strings.
RESERVED |= {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
# Standard library modules that only some of Python 3.10 to 3.15 have. They are listed so that the result does not
# depend on the Python that runs cookiecutter.
VERSION_DEPENDENT_MODULES = """
aifc annotationlib asynchat asyncore audioop binhex cgi cgitb chunk compression crypt distutils imghdr imp lib2to3
mailcap msilib nis nntplib ossaudiodev pipes profiling smtpd sndhdr spwd sre_compile sre_constants sre_parse sunau
telnetlib tomllib uu xdrlib
"""
RESERVED |= set(VERSION_DEPENDENT_MODULES.split())
TARGETS = {"image", "test-image", "artifacts", "release"}  # of deploy/docker-bake.hcl


def check_versions(cookiecutter: str, python: tuple[int, ...]) -> None:
    """Check that this cookiecutter and its Python can generate the project.

    Raises:
        FailedHookException: if one is too old; cookiecutter prints only the message, and exits with status 1.

    """
    found = tuple(map(int, re.findall(r"\d+", cookiecutter)[:2]))
    if found < OLDEST_COOKIECUTTER or python < OLDEST_PYTHON:
        oldest, oldest_python, this_python = map(dotted, (OLDEST_COOKIECUTTER, OLDEST_PYTHON, python))
        raise FailedHookException(
            f"This template needs cookiecutter {oldest} or later on Python {oldest_python} or later, "
            f"but this is cookiecutter {cookiecutter} on Python {this_python}. "
            f"Run `pipx run cookiecutter` or `uvx cookiecutter` instead."
        )


def dotted(version: tuple[int, ...]) -> str:
    """Return a version as text, such as 3.10."""
    return ".".join(map(str, version))


def template_directory() -> Path:
    """Return the template's project directory.

    Cookiecutter's working directory is this directory or its parent. They are tried before the directory of
    this module, because a process that renders several templates may have imported it from another one.
    """
    candidates = (Path.cwd(), Path.cwd() / PROJECT, Path(__file__).parent / PROJECT)
    return next(path for path in candidates if path.name == PROJECT and (path / VARIANTS).is_dir())


def locked_versions() -> dict[str, str]:
    """Map each distribution in the template's lock files (lower-case name) to its version."""
    paths = template_directory().glob("**/*.txt")
    locks = sorted(path for path in paths if path.parent.name == "requirements" or path.name.startswith("requirements"))
    return dict(pin for lock in locks for pin in re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text("utf-8"), re.M))


def bake_targets() -> set[str]:
    """List names that a Compose service must not have, because bake also reads compose.yaml."""
    return TARGETS | {f"{target}-{strategy}" for target in TARGETS for strategy in strategies({"strategy": "all"})}


def is_reserved(name: str) -> bool:
    """Return whether a name is reserved or would shadow another module or distribution."""
    reserved = (
        RESERVED | bake_targets() | locked_versions().keys() | {module.lower() for module in sys.stdlib_module_names}
    )
    return bool({name, name.replace("_", "-"), name.replace("-", "_")} & reserved) or keyword.iskeyword(name)


def is_valid_name(pattern: re.Pattern[str], name: str) -> bool:
    """Return whether a name matches the pattern, is short enough and is not reserved."""
    return bool(pattern.fullmatch(name)) and len(name) <= LONGEST_NAME and not is_reserved(name)


def is_text(value: str) -> bool:
    """Return whether an answer is non-blank text that every file format can contain."""
    return bool(value.strip()) and len(value) <= LONGEST_TEXT and not SURROGATE.search(value)


def is_slug(value: str) -> bool:
    """Return whether a slug is a valid name of a directory, distribution, command and image."""
    return is_valid_name(SLUG, value)


def is_package(value: str) -> bool:
    """Return whether a package name can be imported without shadowing another module."""
    return is_valid_name(PACKAGE, value)


def is_email(value: str) -> bool:
    """Return whether an e-mail address is valid in package metadata."""
    try:
        return "@" in value and len(value) <= LONGEST_EMAIL and Address(addr_spec=value).addr_spec == value
    except (MessageError, ValueError, IndexError):
        return False


TEXT_RULE = f"non-blank UTF-8 text of at most {LONGEST_TEXT:,} characters"
EMAIL_RULE = f"an e-mail address with an @, of at most {LONGEST_EMAIL} ASCII characters"
NAME_RULE = f"at most {LONGEST_NAME} characters, not reserved by Python or YAML, and not the name of a dependency"
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
    """Return a one-line error message for an invalid answer, or None.

    Args:
        field: name of the question, a key of RULES.
        value: the answer.

    """
    test, allowed, example = RULES[field]
    shown = json.dumps(value if len(value) <= 2 * LONGEST_NAME else value[: 2 * LONGEST_NAME] + "...")
    if TEMPLATE_SYNTAX.search(value):
        return f"{field}: {shown} contains template syntax. Remove '{{{{', '{{%' and '{{#'; for example \"{example}\"."
    if not test(value):
        return f'{field}: {shown} is not valid. Use {allowed}; for example "{example}".'
    return None


def retry_hint(answers: Mapping[str, object], fields: list[str]) -> str:
    """Return a hint, on a terminal only, with the valid answers as arguments for the next run."""
    if not fields or not sys.stdin.isatty():
        return ""
    arguments = " ".join(f"{field}={shlex.quote(str(answers[field]))}" for field in fields)
    hint = f"\nTo keep your other answers, add them to the command: {arguments}"
    return hint.encode(sys.stdout.encoding, "replace").decode(sys.stdout.encoding)


def validate(answers: Mapping[str, object]) -> bool:
    """Return True if all answers are valid; cruft stores this value in the project's .cruft.json.

    Raises:
        FailedHookException: if one is not; cookiecutter prints only the message, and exits with status 1.

    """
    found = {field: problem(field, str(answers[field])) for field in RULES if field in answers}
    if error := next(filter(None, found.values()), None):
        raise FailedHookException(error + retry_hint(answers, [field for field in found if not found[field]]))
    return True


def prefix_if_invalid(slug: str) -> str:
    """Prefix a derived slug with "project-" if it would be rejected: empty, reserved, or starting with a digit."""
    return slug if is_slug(slug) else f"project-{slug}"[:LONGEST_NAME].rstrip("-")


def one_line(value: str) -> str:
    """Replace line breaks with spaces, and strip the ends, because package metadata cannot contain line breaks."""
    lines = (line.strip(" \t") for line in re.split(r"[\r\n]", value))
    return " ".join(filter(None, lines))


def literal(value: str) -> str:
    """Quote text as a string literal that is valid, and the same, in TOML, YAML, JSON and Python."""
    quoted = json.dumps(value, ensure_ascii=False)
    # JSON allows these characters unescaped; TOML (DEL and controls) and YAML (line separators) do not.
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff]", lambda match: f"\\u{ord(match[0]):04x}", quoted)


def label(value: str) -> str:
    """Quote text as the value of a Dockerfile LABEL, in which backslash, quote and dollar are special."""

    def escape(text: str) -> str:
        return re.sub(r'([\\"$])', r"\\\1", text)

    # Hadolint misreads a quote after an escaped backslash as an escaped one, so put such backslashes outside of quotes.
    quoted, *rest = re.split(r'(?<!\\)(\\+)(?="|\Z)', one_line(value))
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return f'"{escape(quoted)}"' + "".join(f'{escape(slashes)}"{escape(text)}"' for slashes, text in pairs)


def generated_paths(package_name: str) -> list[str]:
    """List the files that every project contains, whatever the answers, as POSIX paths."""
    directory = template_directory()
    names = (path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    common = (name for name in names if not name.startswith(f"{VARIANTS}/"))
    return sorted(name.replace(PACKAGE_DIR, package_name) for name in common)


def strategies(answers: Mapping[str, str], stage: str = "") -> list[str]:
    """List the strategies of a project, or only those whose Dockerfile contains a stage."""
    chosen = "*" if answers["strategy"] == "all" else answers["strategy"]
    dockerfiles = (template_directory() / VARIANTS / "strategy").glob(f"{chosen}/Dockerfile")
    wanted = re.compile(rf"^FROM .* AS {stage}$" if stage else "", re.MULTILINE)
    return sorted(path.parent.name for path in dockerfiles if wanted.search(path.read_text("utf-8")))


def strategy_label(strategy: str) -> str:
    """Return the description of a strategy from its question."""
    questions = json.loads((template_directory().parent / "cookiecutter.json").read_text("utf-8"))
    description: str = questions["__prompts__"]["strategy"][strategy]
    return description.removeprefix(f"{strategy}: ")


def strategy_files(answers: Mapping[str, str]) -> list[str]:
    """List the top-level paths of further files that the strategies' builds need, for .dockerignore."""
    directories = (template_directory() / VARIANTS / "strategy" / name for name in strategies(answers))
    names = {path.name for directory in directories for path in directory.iterdir()}
    return sorted(name for name in names if name != "Dockerfile" and not name.startswith("requirements"))


def dockerfile(answers: Mapping[str, str], strategy: str) -> str:
    """Return the path of a strategy's Dockerfile, which is in strategies/ if the project contains all strategies."""
    return f"strategies/{strategy}/Dockerfile" if answers["strategy"] == "all" else "Dockerfile"


def docker_build(answers: Mapping[str, str], strategy: str) -> str:
    """Return the command that builds a strategy's Dockerfile, with --file if that is in strategies/."""
    path = dockerfile(answers, strategy)
    return "docker build" if path == "Dockerfile" else f"docker build --file {path}"


def template_expressions() -> set[str]:
    """Return the Jinja expressions in the template's questions, hooks and paths.

    In a source without a template name, any other expression comes from an answer.
    """
    root = template_directory().parent
    texts = (path.read_text("utf-8") for path in (root / "cookiecutter.json", *root.glob("hooks/*.py")))
    return {found for text in (PROJECT, PACKAGE_DIR, *texts) for found in TEMPLATE_EXPRESSION.findall(text)}


@pass_context
def names(context: Context) -> str:
    """Return the words of the project's and author's names, for codespell's ignore list."""
    fields = ("project_slug", "package_name", "project_name", "author_name")
    words = (re.findall(r"[\w'\u2019-]+", context["cookiecutter"][field].lower()) for field in fields)
    return ",".join(dict.fromkeys(word for found in words for word in found))


def hook(name: str) -> dict[str, Any]:
    """Load the code of a hook, to share it: a hook cannot import this module."""
    return runpy.run_path(str(template_directory().parent / "hooks" / f"{name}.py"))


def targets(answers: Mapping[str, str]) -> list[str]:
    """List the files of a project with these answers, as POSIX paths."""
    package = answers["package_name"]
    common = generated_paths("{{cookiecutter.package_name}}")
    chosen = hook("post_gen_project")["plan_moves"](template_directory() / VARIANTS, answers, common)
    names = (*common, *(target.as_posix() for target in chosen))
    return sorted(name.replace("{{cookiecutter.package_name}}", package) for name in names)


def required_disk_space() -> int:
    """Return an upper bound on the bytes needed during generation, including all variants."""
    # In blocks of 4 KiB. Rendering a file may add half of its size and one block.
    sizes = (path.stat().st_size for path in template_directory().rglob("*"))
    return sum(4096 * (1 + -(-3 * size // 8192)) for size in sizes)


def required(answers: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of the pre-generation check: target paths and required bytes."""
    return {"targets": targets(answers), "disk_space": required_disk_space()}


def report_leftovers(project: Path, *, new: bool) -> None:
    """Report the leftovers of an interrupted generation. _variants exists until the last hook has finished."""
    if not os.path.lexists(project / VARIANTS):
        return
    if new:
        advice = f"{project} is incomplete. Delete it before you generate it again."
    else:
        advice = (
            f"Files in {project} that the template generates may have been replaced or truncated; other files are "
            f"unchanged. Delete {VARIANTS}/ before you generate again."
        )
    print(f"Generation was interrupted. {advice}", file=sys.stderr)


def checked_project_dir(answers: Mapping[str, str]) -> str:
    """Return the project directory's name, after checking that every file in it can be written.

    Raises:
        FailedHookException: if one cannot; cookiecutter prints only the message, and exits with status 1.

    """
    validate(answers)
    slug = answers["project_slug"]
    # Cruft does not set these; the pre-generation hook checks the directory instead.
    if {"_output_dir", "_repo_dir"} <= answers.keys():
        project = Path(answers["_output_dir"], slug)
        try:
            with work_in(answers["_repo_dir"]):
                found = hook("pre_gen_project")["problem"](project, **required(answers))
        except ValueError as error:
            found = f"The template is invalid: {error}"
        if found:
            raise FailedHookException(f"{found} Nothing was changed.")
        atexit.register(report_leftovers, project, new=not project.exists())
    return slug


class Answers(Extension):
    """Registers the filters above, and prevents answers from being rendered as templates.

    It also checks the target directory before cookiecutter creates it, when the directory name is rendered.
    """

    def __init__(self, environment: Environment) -> None:
        """Add the filters and functions to cookiecutter's environment."""
        check_versions(importlib.metadata.version("cookiecutter"), sys.version_info[:2])
        super().__init__(environment)
        self.expressions = template_expressions()
        # `cruft update` renders two versions of the template in one process. Each must import its own module.
        sys.modules.pop(__name__, None)
        environment.filters.update(
            checked_project_dir=checked_project_dir,
            docker_build=docker_build,
            dockerfile=dockerfile,
            label=label,
            literal=literal,
            one_line=one_line,
            prefix_if_invalid=prefix_if_invalid,
            required=required,
            strategies=strategies,
            strategy_files=strategy_files,
            strategy_label=strategy_label,
            validate=validate,
        )
        environment.globals.update(
            generated_paths=generated_paths,
            names=names,
        )

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        """Check the target directory, and escape Jinja syntax in answers, which `validate` then rejects."""

        def escape(found: re.Match[str]) -> str:
            return found[0] if found[0] in self.expressions else TEMPLATE_SYNTAX.sub(r"""{{ '\g<0>' }}""", found[0])

        if name is None and source == PROJECT:
            return "{{ cookiecutter | checked_project_dir }}"
        return TEMPLATE_EXPRESSION.sub(escape, source) if name is None else source
