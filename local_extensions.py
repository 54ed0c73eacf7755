"""Jinja filters that escape answers for each file format, and others that list the template's strategies and names."""

from __future__ import annotations

import json
import keyword
import logging
import re
import sys
from importlib.metadata import version
from pathlib import Path

import click
from cookiecutter.exceptions import FailedHookException
from jinja2 import Environment
from jinja2.ext import Extension

QUESTIONS = json.loads(Path(__file__).with_name("cookiecutter.json").read_text("utf-8"))
PROJECT = Path(__file__).with_name("{{cookiecutter.project_slug}}")
STRATEGIES = {path.parent.name: path.read_text("utf-8") for path in PROJECT.glob("_variants/strategy/*/Dockerfile")}
# Names in use in the project, its image or its cluster; words that YAML does not parse as strings; Windows devices.
RESERVED = "python python3 pip pip3 pex tests default kube-node-lease kube-public kube-system"
RESERVED += " null true false yes no on off y n"
RESERVED += " con prn aux nul com1 com2 com3 com4 com5 com6 com7 com8 com9 lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9"


def check_command(cookiecutter: str, python: tuple[int, ...], options: dict[str, object]) -> None:
    """Reject --accept-hooks=no, an old Python, and an old cookiecutter, which cannot include templates/."""
    if tuple(map(int, re.findall(r"\d+", cookiecutter)[:2])) < (2, 2) or python < (3, 10):
        found = f"cookiecutter {cookiecutter} on Python {'.'.join(map(str, python))}"
        raise FailedHookException(
            f"This template needs cookiecutter 2.2 or later on Python 3.10 or later, but this is {found}. "
            f"Run `pipx run cookiecutter` or `uvx cookiecutter` instead."
        )
    if options.get("accept_hooks") == "no":
        raise FailedHookException("This template needs its hooks. Run cookiecutter without --accept-hooks=no.")


def strategies(answers: dict[str, str], stage: str = "") -> list[str]:
    """List the strategies of a project, or only those whose Dockerfile contains the given stage."""
    chosen = (name for name in STRATEGIES if answers["strategy"] in (name, "all"))
    return sorted(name for name in chosen if re.search(rf"^FROM .* AS {stage}", STRATEGIES[name], re.MULTILINE))


def strategy_files(answers: dict[str, str]) -> list[str]:
    """List the top-level paths of further files that the strategies' builds need, for .dockerignore."""
    found = {path.name for name in strategies(answers) for path in PROJECT.glob(f"_variants/strategy/{name}/*")}
    return sorted(name for name in found if name != "Dockerfile" and not name.startswith("requirements"))


def docker_build(answers: dict[str, str], strategy: str) -> str:
    """Return the build command of a strategy. With strategy=all, its Dockerfile is in strategies/."""
    return f"docker build --file strategies/{strategy}/Dockerfile" if answers["strategy"] == "all" else "docker build"


def target_paths(package_name: object) -> list[str]:
    """List the paths of all files that the template can write to a project."""
    paths = (path.relative_to(PROJECT).as_posix() for path in PROJECT.rglob("*") if path.is_file())
    dockerfiles = (f"strategies/{strategy}/Dockerfile" for strategy in STRATEGIES)
    targets = {re.sub("^_variants/[^/]+/[^/]+/", "", path) for path in (*paths, *dockerfiles)}
    return sorted(path.replace("{{cookiecutter.package_name}}", str(package_name)) for path in targets)


def reserved_names() -> list[str]:
    """List the names, with hyphens, that a project must not have because they are in use or would shadow a module."""
    locks = (path for path in PROJECT.rglob("*.txt") if path.stem != "publish")  # the project is not installed with it
    locked = re.findall(r"(?m)^([a-z0-9-]+)==", "".join(path.read_text("utf-8") for path in locks))
    modules = {module.lower() for module in sys.stdlib_module_names}
    return sorted(name.replace("_", "-") for name in {*RESERVED.split(), *locked, *modules, *keyword.kwlist})


def prefix_if_invalid(slug: str) -> str:
    """Prefix a derived slug with "project-" if it would be rejected: empty, reserved, or starting with a digit."""
    return slug if re.match("[a-z]", slug) and slug not in reserved_names() else f"project-{slug}"[:63].rstrip("-")


def names(answers: dict[str, str]) -> str:
    """Return the words of the project's and author's names, for codespell's ignore list."""
    texts = (answers[field].lower() for field in ("project_slug", "package_name", "project_name", "author_name"))
    return ",".join(dict.fromkeys(word for text in texts for word in re.findall(r"[\w'\u2019-]+", text)))


def one_line(value: str) -> str:
    """Replace line breaks with spaces, and strip the ends, because package metadata cannot contain line breaks."""
    return " ".join(filter(None, (line.strip(" \t") for line in re.split(r"[\r\n]", value))))


def literal(value: str) -> str:
    """Quote text as a string literal that is valid and has the same value in TOML, YAML, JSON and Python."""
    quoted = json.dumps(value, ensure_ascii=False)
    # JSON allows these characters unescaped; TOML (DEL and controls) and YAML (line separators) do not.
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff]", lambda match: f"\\u{ord(match[0]):04x}", quoted)


def label(value: str) -> str:
    """Quote text as the value of a Dockerfile LABEL, in which backslash, quote and dollar are special."""
    # Hadolint misreads a quote after an escaped backslash as escaped, so put such backslashes outside the quotes.
    special = re.compile(r'(?<!\\)(\\+)(?="|\Z)|[\\"$]')
    return '"' + special.sub(lambda found: f'"{2 * found[0]}"' if found[1] else f"\\{found[0]}", one_line(value)) + '"'


class Answers(Extension):
    """Registers the functions above."""

    def __init__(self, environment: Environment) -> None:
        """Check the command, and add the filters and functions to cookiecutter's environment."""
        command = click.get_current_context(silent=True)
        check_command(version("cookiecutter"), sys.version_info[:2], command.params if command else {})
        super().__init__(environment)
        # `cruft update` renders two versions of the template in one process. Each must import its own module.
        sys.modules.pop(__name__, None)
        # cookiecutter logs a traceback if a hook fails, although the hook has printed the reason.
        logging.getLogger("cookiecutter.hooks").addFilter(lambda record: not record.exc_info)
        filters = (docker_build, label, literal, names, one_line, prefix_if_invalid, strategies, strategy_files)
        environment.filters.update({function.__name__: function for function in filters})
        environment.globals.update(questions=QUESTIONS, reserved_names=reserved_names, target_paths=target_paths)
