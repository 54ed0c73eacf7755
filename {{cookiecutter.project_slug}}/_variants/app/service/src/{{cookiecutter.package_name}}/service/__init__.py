"""The skeleton of the service, maintained by template updates. Your modules import it; it imports none of them."""

from importlib import import_module

TYPE_CHECKING = False  # as in typing, whose import would slow down the health check
if TYPE_CHECKING:
    from .app import create_app
    from .command import add_command, run
    from .middleware import max_body
    from .problems import problem
    from .settings import ServiceSettings, configure

__all__ = ["ServiceSettings", "add_command", "configure", "create_app", "max_body", "problem", "run"]

PREFIX = f"{__name__.partition('.')[0].upper()}_"
"""The prefix of the environment variables of all settings."""
MODULES = {
    "ServiceSettings": "settings",
    "add_command": "command",
    "configure": "settings",
    "create_app": "app",
    "max_body": "middleware",
    "problem": "problems",
    "run": "command",
}


def __getattr__(name: str) -> object:
    """Import a module when it is first used, because the health check must not wait for the web framework."""
    if name not in MODULES:
        raise AttributeError(name)
    return getattr(import_module(f".{MODULES[name]}", __name__), name)
