"""Reject invalid answers, and directories in which the project cannot be generated, before any file is written."""

import json
import re
import shlex
import sys
from collections.abc import Callable
from email.errors import MessageError
from email.headerregistry import Address
from functools import partial
from pathlib import Path
from typing import Any

CONTEXT = r"""{{ (cookiecutter, questions, reserved_names(), target_paths(cookiecutter.package_name)) | tojson }}"""
# Jinja copies the rest of this file unchanged. {% raw %}

Rule = tuple[Callable[[str], bool], str, str]  # a test, a description of valid answers, an example
TEXT = "non-blank UTF-8 text of at most 10,000 characters"
NAME = "at most 63 characters, not reserved by Python or YAML, and not the name of a dependency"
OUTDATED = "_copy_without_render is outdated. Replace --replay with arguments; cruft needs --refresh-private-variables."


def is_text(value: str) -> bool:
    """Return whether an answer is non-blank UTF-8 text that fits into a Dockerfile line of at most 64 KiB."""
    return bool(value.strip()) and len(value) <= 10_000 and not re.search("[\ud800-\udfff]", value)


def is_name(separator: str, reserved: set[str], value: str) -> bool:
    """Return whether a name is not reserved, and is a valid host name, which has at most 63 characters."""
    pattern = f"[a-z][a-z0-9]*({separator}[a-z0-9]+)*"
    return bool(re.fullmatch(pattern, value)) and len(value) <= 63 and value.replace("_", "-") not in reserved


def is_email(value: str) -> bool:
    """Return whether setuptools accepts an e-mail address: with a dot in its domain. RFC 5321 limits its length."""
    try:
        return "." in value.split("@")[-1][1:-1] and len(value) <= 254 and Address(addr_spec=value).addr_spec == value
    except (MessageError, ValueError, IndexError):
        return False


def rules(questions: dict[str, Any], reserved: set[str]) -> dict[str, Rule]:
    """Map each question to the rule for its answer."""
    is_slug, is_package = (partial(is_name, separator, reserved) for separator in "-_")
    lists = {name: values for name, values in questions.items() if isinstance(values, list) and name[0] != "_"}
    return {
        "project_name": (is_text, TEXT, "Checksum Service"),
        "project_slug": (is_slug, f"lower-case letters, digits and single hyphens, {NAME}", "checksum-service"),
        "package_name": (is_package, f"lower-case letters, digits and single underscores, {NAME}", "checksum_service"),
        "description": (is_text, TEXT, "CRC-32C checksums over HTTP."),
        "author_name": (is_text, TEXT, "Ada Lovelace"),
        "author_email": (is_email, "an address with a dot after the @, up to 254 ASCII characters", "ada@example.com"),
        **{name: (values.__contains__, " or ".join(values), values[0]) for name, values in lists.items()},
    }


def problem(question: str, answer: object, rule: Rule) -> str | None:
    """Return a one-line error message for an invalid answer, or None."""
    is_valid, allowed, example = rule
    if not isinstance(answer, str):
        return f'{question}: {json.dumps(answer)} is not text. Use text in quotes; for example "{example}".'
    shown = f"{question}: {json.dumps(answer if len(answer) <= 126 else answer[:126] + '...')}"
    if re.search(r"\{[{%#]", answer):
        return f"{shown} contains template syntax. Remove '{{{{', '{{%' and '{{#'; for example \"{example}\"."
    return None if is_valid(answer) else f'{shown} is not valid. Use {allowed}; for example "{example}".'


def answer_error(answers: dict[str, Any], checks: dict[str, Rule], *, hint: bool) -> str | None:
    """Return the first error message, or None. A hint repeats the valid answers as arguments for the next command."""
    found = {question: problem(question, answers.get(question), rule) for question, rule in checks.items()}
    error = next(filter(None, found.values()), None)
    arguments = " ".join(f"{name}={shlex.quote(answers[name])}" for name in found if not found[name])
    return f"{error}\nTo keep your other answers, add them to the command: {arguments}" if error and hint else error


def link_error(project: Path, targets: list[str]) -> str | None:
    """Return an error message if a file would be written through a symbolic link that leads outside the project."""
    target = next((name for name in targets if not (project / name).resolve().is_relative_to(project.resolve())), None)
    return target and f"{project / target} leads outside the project. Remove the symbolic link."


def create_variants(project: Path) -> str | None:
    """Create a marker file, which cookiecutter keeps only with --skip-if-file-exists, or return an error message."""
    variants = project / "_variants"
    try:
        if any(project.iterdir()):  # In a new project, cookiecutter must create the directory itself.
            variants.mkdir()
            (variants / "skipped").write_text("yes\n", "utf-8")
    except FileExistsError:
        return f"{variants} already exists. Rename it, or delete it if an interrupted generation left it behind."
    return None


def main(answers: dict[str, Any], questions: dict[str, Any], reserved: list[str], targets: list[str]) -> None:
    """Exit with an error message if the project cannot be generated."""
    error = answer_error(answers, rules(questions, set(reserved)), hint=sys.stdin.isatty())
    outdated = OUTDATED if answers.get("_copy_without_render") != questions["_copy_without_render"] else None
    sys.exit(outdated or error or link_error(Path.cwd(), targets) or create_variants(Path.cwd()))


if __name__ == "__main__":
    main(*json.loads(CONTEXT))
# {% endraw %}
