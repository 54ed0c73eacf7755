"""Limits for connections, so that the process always has memory, and can open another file."""

import logging
import resource
from functools import cache
from typing import Any

log = logging.getLogger(__name__)

MAX_HEADER_BYTES = 1 << 16
# What one connection can hold before the app asks for it: asyncio reads 256 KiB at once by default, and uvicorn
# pauses when it has more than 64 KiB of a body.
READ_BYTES = 1 << 16
UNREAD_BYTES = READ_BYTES + (1 << 16)

SOFT_LIMIT, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
FILES = 1 << 20 if SOFT_LIMIT == resource.RLIM_INFINITY else SOFT_LIMIT
MAX_FILES = min(FILES, 4096)
# asyncio accepts this many connections at once, and several times as many before the first one is closed.
BACKLOG = min(FILES // 16, 2048)


def limit(transport: Any, connections: set[Any]) -> None:
    """Limit what is read from a new connection; close idle ones if there are many, or the new one if all are busy."""
    transport.max_size = READ_BYTES
    if len(connections) < MAX_FILES // 2:
        return
    warn_once()
    for connection in list(connections):
        connection.shutdown()  # a busy one is closed after its response
    if len(connections) >= MAX_FILES * 5 // 8:
        transport.abort()


@cache
def warn_once() -> None:
    """Log that connections are closed: once, because it could happen many times a second."""
    log.warning("too many connections: from now on, idle ones are closed when needed")
