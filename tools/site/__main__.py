"""Build the site: `python -m tools.site [--serve]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tools.demo import TEMPLATE
from tools.site.build import build

BUILD = TEMPLATE / "build/site"


def serve(html: Path) -> None:
    """Serve the site on this host until it is interrupted."""
    handler: Callable[..., SimpleHTTPRequestHandler] = partial(SimpleHTTPRequestHandler, directory=str(html))
    with ThreadingHTTPServer(("127.0.0.1", 8000), handler) as server:
        print("Serving the site on http://127.0.0.1:8000/; press Ctrl-C to stop.", flush=True)
        server.serve_forever()


def main(arguments: list[str] | None = None) -> None:
    """Build the site in build/site/html, and serve it if requested."""
    parser = argparse.ArgumentParser(prog="site", description="Build the site in build/site/html.")
    parser.add_argument("--serve", action="store_true", help="serve it on http://127.0.0.1:8000/")
    options = parser.parse_args(arguments)
    html = build(BUILD)
    if options.serve:
        serve(html)


if __name__ == "__main__":
    try:
        main()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"site: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
