"""Log lines on stderr: JSON for machines, plain text on a terminal."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The ID of the request that the running task processes."""


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of an event: `extra={"fields": ...}`, and the ID of the request."""
    more: dict[str, Any] = getattr(record, "fields", {})
    current = request_id.get()
    return more if current is None else {"request_id": current, **more}


class JSONFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one event."""
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().rstrip(),
            **fields(record),
        }
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str)


class TerminalFormatter(logging.Formatter):
    """Time, level, message and fields, for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one event."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        more = "".join(f" {name}={value}" for name, value in fields(record).items())
        line = f"{time} {record.levelname:<7} {record.getMessage().rstrip()}{more}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(level: str) -> None:
    """Send the events of all loggers to stderr, from `level` upwards."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TerminalFormatter() if sys.stderr.isatty() else JSONFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # The command `uvicorn` gives its loggers handlers of their own, and would log each request twice.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = name != "uvicorn.access"


def configure_if_missing(level: str) -> None:
    """Configure the logs unless a test or another server has done so."""
    if not logging.getLogger().handlers:
        configure(level)
