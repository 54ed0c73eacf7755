"""A limit for open connections, so that the process can always open another file."""

import logging
import resource
from functools import cache
from typing import Any

log = logging.getLogger(__name__)

LIMIT, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
MAX_FILES = 4096 if LIMIT == resource.RLIM_INFINITY else min(LIMIT, 4096)
# asyncio accepts this many connections at once, and several times as many before the first one is closed.
BACKLOG = MAX_FILES // 16


def make_room(connections: set[Any]) -> bool:
    """Close idle connections if there are many, and return whether another one can be opened."""
    if len(connections) < MAX_FILES // 2:
        return True
    warn_once()
    for connection in list(connections):
        connection.shutdown()  # a busy one is closed after its response
    return len(connections) < MAX_FILES * 5 // 8


@cache
def warn_once() -> None:
    """Log that connections are closed: once, because it could happen many times a second."""
    log.warning("too many connections: from now on, idle ones are closed when needed")
