"""The command `serve`. The app and the web framework are imported only when it runs."""

import argparse
import gc
import os
import signal
from importlib import import_module
from typing import Any


def add_command(commands: Any, app: str) -> None:
    """Add `serve` to the commands of a parser. Its help also lists the settings of `app`, a `module:variable`."""
    parser = commands.add_parser("serve", help="run the HTTP service", add_help=False)
    text = "show this help message and all settings, and exit"
    parser.add_argument("-h", "--help", action=HelpAction, nargs=0, const=app, help=text)


class HelpAction(argparse.Action):
    """Print the help, and the settings of the app."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print, and exit."""
        from .settings import describe

        print(f"{parser.format_help()}\n{describe(load_app(self.const).settings_class)}")
        parser.exit()


def run(app: str, prog: str) -> int:
    """Run the service, and return the exit status; `app` is `module:variable`."""
    # PID 1 of a container ignores SIGTERM until it has a handler, and the imports take a while.
    # Exit without an exception, which would be lost in a callback from C.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # The imports create many long-lived objects, so exclude them from garbage collection, now and later.
    gc.disable()
    try:
        from .app import run as run_app

        loaded = load_app(app)
        gc.freeze()
        gc.enable()
        return run_app(loaded, prog)
    except KeyboardInterrupt:
        return 130


def load_app(name: str) -> Any:
    """Import the app."""
    module, _, variable = name.partition(":")
    return getattr(import_module(module), variable)
