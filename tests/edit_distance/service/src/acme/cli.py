"""The command line."""

import argparse
import os
import signal
from collections.abc import Sequence

from . import __version__, distance


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands and options."""
    parser = argparse.ArgumentParser(description="Compare texts, or serve this over HTTP.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = commands.add_parser("distance", help="print the edit distance of two texts")
    command.add_argument("a")
    command.add_argument("b")
    serve = commands.add_parser("serve", help="respond to HTTP requests", add_help=False)
    serve.add_argument("-h", "--help", action="store_true", help="show this help message and all settings, and exit")
    serve.set_defaults(format_help=serve.format_help)
    return parser


def serve(options: argparse.Namespace, prog: str) -> int:
    """Run the HTTP service, or print its help, and return the exit status."""
    # PID 1 of a container ignores SIGTERM until it has a handler, and the imports take a while.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

    from . import service
    from .api import app

    if options.help:
        print(f"{options.format_help()}\n{service.help_text(app)}")
        return 0
    return service.run(app, prog)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status; the arguments are those of sys.argv by default."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command == "serve":
        return serve(options, parser.prog)
    print(distance(options.a, options.b))
    return 0
