"""The image's HEALTHCHECK: exit with status 0 if the service responds on this host."""

import os
import sys
from http.client import HTTPConnection, HTTPException

from . import PREFIX

# The address to connect to, for each address that means "all addresses".
LOOPBACK = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def is_healthy(host: str, port: int, timeout: float = 2.0) -> bool:
    """Request `/healthz` directly, even if the environment configures a proxy."""
    connection = HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def main() -> int:
    """Check the service that this environment would start."""
    # Read the variables as settings.py does, ignoring case. Importing settings.py would take ten times as long.
    environment = {name.upper(): value for name, value in os.environ.items()}
    host = environment.get(f"{PREFIX}HOST", "*")
    port = environment.get(f"{PREFIX}PORT", "8000")
    return not is_healthy(LOOPBACK.get(host, host), int(port))


if __name__ == "__main__":
    sys.exit(main())
