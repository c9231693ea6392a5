"""Logging on standard error, as text or as JSON, and notifications in the log."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from undertone_telemetry.log_limit import RepetitionLimit
from undertone_telemetry.log_writer import LogWriter
from undertone_telemetry.metrics import Level, Measurement, Notification

_STANDARD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_LEVELS: Final = {
    Level.INFO: logging.INFO,
    Level.SUCCESS: logging.INFO,
    Level.WARNING: logging.WARNING,
    Level.ERROR: logging.ERROR,
}

_REPETITIONS_PER_SECOND: Final = 5

log = logging.getLogger(__name__)


class LogAdapter:
    """An adapter that logs notifications, with their labels as fields.

    Measurements are not logged.
    """

    name = "log"

    def record(self, measurement: Measurement) -> None:
        """Does nothing."""

    def notify(self, notification: Notification) -> None:
        message = ": ".join(filter(None, (notification.title, notification.text.replace("\n", "; "))))
        log.log(_LEVELS[notification.level], message, extra=dict(notification.labels))

    def close(self) -> None:
        """Does nothing."""


class _PlainFormatter(logging.Formatter):
    """Time, level and message, followed by key=value pairs."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname:<7} {record.getMessage()}"
        line += "".join(f" {key}={value}" for key, value in _extra_fields(record).items())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_extra_fields(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure(log_format: str, *, traced: bool = False) -> None:
    """Sends the log of this process to standard error.

    Args:
        log_format: "plain" or "json".
        traced: Add the ids of the current span to each line. Imports OpenTelemetry.
    """
    _install(logging.StreamHandler(sys.stderr), log_format, traced=traced)


def configure_service(log_format: str, *, traced: bool = False) -> None:
    """As `configure`, for a process that serves calls.

    A thread writes the log, so that a reader that has stopped does not block calls. Repeated
    records, which bad callers can cause, are suppressed and counted.
    """
    writer = LogWriter(limit=RepetitionLimit(_REPETITIONS_PER_SECOND))
    writer.start()
    _install(writer.handler, log_format, traced=traced)


def _install(handler: logging.Handler, log_format: str, *, traced: bool) -> None:
    if traced:
        from undertone_telemetry.tracing import TraceIdFilter

        handler.addFilter(TraceIdFilter())
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _PlainFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _extra_fields(record: logging.LogRecord) -> Mapping[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD_FIELDS}
