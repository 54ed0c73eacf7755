"""The image's HEALTHCHECK: exit status 0 when the service answers on this host."""

import sys
from http.client import HTTPConnection, HTTPException


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


if __name__ == "__main__":
    sys.exit(not is_healthy())
