"""The image's HEALTHCHECK: exit status 0 when the service answers on this host."""

import os
import sys
from http.client import HTTPConnection, HTTPException

# The same variables as in settings.py, which takes ten times as long to import.
PREFIX = f"{__package__.upper()}_"
# What is listened on, and where it is then found from the same host.
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def is_healthy(host: str = "127.0.0.1", port: int = 8000, timeout: float = 2.0) -> bool:
    """Ask `/healthz`, waiting at most `timeout` seconds. No proxy of the environment is used."""
    connection = HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def main() -> int:
    """Ask the service that this environment would start."""
    host = os.environ.get(f"{PREFIX}HOST", "0.0.0.0")
    port = os.environ.get(f"{PREFIX}PORT", "8000")
    return not is_healthy(LOOPBACK.get(host, host), int(port))


if __name__ == "__main__":
    sys.exit(main())
