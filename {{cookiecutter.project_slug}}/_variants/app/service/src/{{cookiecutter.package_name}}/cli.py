"""The command line."""

import argparse
from collections.abc import Sequence

from . import __version__
from .checksums import print_crc32c


def port_number(text: str) -> int:
    """Read a port.

    Raises:
        argparse.ArgumentTypeError: the text is no number from 0 to 65535.

    """
    if text.isdecimal() and int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 65535")


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = argparse.ArgumentParser(description="Serve checksums, or print those of files.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    crc32c = commands.add_parser("crc32c", help="print the CRC-32C of each file")
    crc32c.add_argument("names", nargs="*", default=["-"], metavar="FILE", help="'-', the default, is standard input")

    serve = commands.add_parser("serve", help="answer over HTTP until told to stop")
    serve.add_argument("--host", default="0.0.0.0", help="address to listen on (default: %(default)s, all of them)")
    serve.add_argument("--port", default=8000, type=port_number, help="port to listen on (default: %(default)s)")
    return parser


def serve(host: str, port: int) -> int:
    """Run the HTTP service until SIGTERM or SIGINT."""
    # Imported here, so that `crc32c` does not wait for the web framework.
    import uvicorn

    from .service import app

    uvicorn.run(app, host=host, port=port)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after the program's name, sys.argv's when None.

    Returns:
        The exit status.

    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        if options.command == "serve":
            return serve(options.host, options.port)
        return print_crc32c(options.names, parser.prog)
    except KeyboardInterrupt:
        return 130
