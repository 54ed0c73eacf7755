"""Log lines on stderr: JSON for machines, plain text on a terminal."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that the running task answers."""


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what goes with the message: `extra={"fields": ...}`, and the id of the request."""
    more: dict[str, Any] = getattr(record, "fields", {})
    current = request_id.get()
    return more if current is None else {"request_id": current, **more}


class JSONFormatter(logging.Formatter):
    """One JSON object a line."""

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
    """Time, level, message, and the fields, for a person."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one event."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        more = "".join(f" {name}={value}" for name, value in fields(record).items())
        line = f"{time} {record.levelname:<7} {record.getMessage().rstrip()}{more}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(level: str) -> None:
    """Send the events of every logger to stderr, from `level` upwards."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TerminalFormatter() if sys.stderr.isatty() else JSONFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
