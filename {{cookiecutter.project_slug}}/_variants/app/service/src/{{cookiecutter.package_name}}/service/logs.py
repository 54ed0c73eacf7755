"""Log lines on stderr: JSON for machines, plain text on a terminal."""

import json
import logging
import os
import sys
import threading
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any

MAX_QUEUED = 1000
FLUSH_SECONDS = 1.0

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


class StderrHandler(logging.Handler):
    """Write to stderr in a thread, and drop lines while it is blocked or closed, instead of stopping the service."""

    def __init__(self) -> None:
        """Start the thread."""
        super().__init__()
        # If stderr is closed at startup, another file may have descriptor 2.
        self.descriptor = 2 if sys.stderr else -1
        self.setFormatter(TerminalFormatter() if sys.stderr and sys.stderr.isatty() else JSONFormatter())
        self.queue: SimpleQueue[str | threading.Event] = SimpleQueue()
        self.dropped = 0
        threading.Thread(target=self.write_queue, name="stderr", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line."""
        if self.queue.qsize() >= MAX_QUEUED:
            self.dropped += 1
            return
        try:
            self.queue.put(self.format(record))
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Wait until all lines are written, or until a timeout."""
        written = threading.Event()
        self.queue.put(written)
        written.wait(FLUSH_SECONDS)

    def write_queue(self) -> None:
        """Write queued lines to stderr."""
        while True:
            item = self.queue.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            if self.dropped:
                message = f"{self.dropped} log lines were dropped, because stderr was blocked"
                self.dropped = 0
                event = {"name": __name__, "levelname": "WARNING", "msg": message}
                item += "\n" + self.format(logging.makeLogRecord(event))
            line = f"{item}\n".encode(errors="backslashreplace")
            with suppress(OSError):
                while line:
                    line = line[os.write(self.descriptor, line) :]


def open_without_blocking() -> int:
    """Open stderr again, in non-blocking mode, for the traceback of a forced exit; or /dev/null if that fails."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY
    with suppress(OSError):
        return os.open("/proc/self/fd/2", flags)
    return os.open(os.devnull, flags)


def configure(level: str) -> None:
    """Send the events of all loggers to stderr, from `level` upwards."""
    logging.basicConfig(level=level.upper(), handlers=[StderrHandler()], force=True)
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
