"""The image's HEALTHCHECK: exit with status 0 if the service responds on this host."""

import os
import socket
import sys

from . import PREFIX

# The address to connect to, for each address that means "all addresses".
LOOPBACK = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def is_healthy(host: str, port: int, timeout: float = 2.0) -> bool:
    """Request `/healthz` through a socket, because importing an HTTP client takes long."""
    try:
        with socket.create_connection((host, port), timeout) as connection, connection.makefile("rb") as response:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return response.readline().startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def main() -> int:
    """Check the service that this environment would start."""
    # Read the variables as settings.py does, ignoring case. Importing settings.py would take ten times as long.
    environment = {name.upper(): value for name, value in os.environ.items()}
    host = environment.get(f"{PREFIX}HOST", "*")
    port = environment.get(f"{PREFIX}PORT", "8000")
    return not is_healthy(LOOPBACK.get(host, host), int(port))


if __name__ == "__main__":
    sys.exit(main())
