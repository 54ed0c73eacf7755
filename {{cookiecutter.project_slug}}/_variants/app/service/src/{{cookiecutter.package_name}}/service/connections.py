"""Limits for connections, so that the process does not run out of memory or file descriptors."""

import logging
import resource
from functools import cache
from typing import Any

log = logging.getLogger(__name__)

MAX_HEADER_BYTES = 1 << 16
# The most that is buffered for one connection before the app reads it: one read of asyncio, whose default is 256 KiB,
# and 64 KiB of a body, after which uvicorn pauses reading.
READ_BYTES = 1 << 16
UNREAD_BYTES = READ_BYTES + (1 << 16)

SOFT_LIMIT, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
FILES = 1 << 20 if SOFT_LIMIT == resource.RLIM_INFINITY else SOFT_LIMIT
MAX_FILES = min(FILES, 4096)
# asyncio accepts up to this many connections in one iteration of the event loop, and there can be several iterations
# before the first excess connection is closed.
BACKLOG = min(FILES // 16, 2048)


def limit(transport: Any, connections: set[Any]) -> None:
    """Limit reads from a new connection. Close idle connections if there are many, or the new one if all are busy."""
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
    """Log once that connections are closed, because this could happen many times a second."""
    log.warning("too many connections: from now on, idle connections are closed if necessary")
