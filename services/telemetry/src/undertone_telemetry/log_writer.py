"""Writes the log in a thread, so that a slow reader of standard error blocks no calls."""

import atexit
import logging
import os
import queue
import time
from collections.abc import Callable
from logging.handlers import QueueHandler, QueueListener
from typing import Final

from undertone_telemetry.log_limit import RepetitionLimit

_CAPACITY: Final = 2048
"""Maximum records that wait for the writer. Further records are dropped and counted."""

_SUMMARY_SECONDS: Final = 1.0
_EXIT_SECONDS: Final = 2.0

_STDERR: Final = 2

log = logging.getLogger(__name__)


class _StderrHandler(logging.Handler):
    """Writes to standard error without a buffer and without a lock.

    Only one thread uses it. The interpreter would wait for the locks at its exit.
    """

    def createLock(self) -> None:  # noqa: N802 - overrides a method of logging
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        data = f"{record.msg}\n".encode(errors="backslashreplace")
        try:
            while data:
                data = data[os.write(_STDERR, data) :]
        except OSError:
            """Standard error is closed: there is no place for the log."""


class _BoundedHandler(QueueHandler):
    """Puts records into the queue, and counts those for which there is no room."""

    def __init__(self, records: "queue.Queue[logging.LogRecord]") -> None:
        super().__init__(records)
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # Formatted here: arguments may change later. The writer writes the message as it is.
        return logging.makeLogRecord({"name": record.name, "levelno": record.levelno, "msg": self.format(record)})

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class LogWriter:
    """A handler for the root logger that never blocks, and the thread that writes its records."""

    def __init__(self, *, capacity: int = _CAPACITY, limit: RepetitionLimit | None = None) -> None:
        """
        Args:
            capacity: Maximum number of records that wait for the thread.
            limit: Suppresses repeated records. None suppresses none.
        """
        self._records: queue.Queue[logging.LogRecord] = queue.Queue(capacity)
        self._limit = limit
        self._bounded = _BoundedHandler(self._records)
        if limit:
            self._bounded.addFilter(limit.admit)
        self.handler: logging.Handler = self._bounded
        self._listener = _Listener(self._records, _StderrHandler(), self._report)

    def start(self) -> None:
        """Starts the thread. It ends with the process, after at most two seconds for the queue."""
        self._listener.start()
        atexit.register(self.flush)

    def flush(self, seconds: float = _EXIT_SECONDS) -> None:
        """Waits until all records are written, but at most `seconds`."""
        self._report()
        end = time.monotonic() + seconds
        while self._records.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.005)

    def _report(self) -> None:
        """Logs how many records were suppressed or dropped."""
        for name, level, summary in self._limit.summaries() if self._limit else ():
            logging.getLogger(name).log(level, "%s", summary)
        if dropped := self._bounded.dropped:
            self._bounded.dropped = 0
            log.warning("%d log records were dropped, because standard error was not read fast enough", dropped)


class _Listener(QueueListener):
    """Reports once a second while no records come."""

    def __init__(self, records: "queue.Queue[logging.LogRecord]", handler: logging.Handler, report: Callable[[], None]) -> None:
        super().__init__(records, handler)
        self._records = records
        self._report = report
        self._reported = time.monotonic()

    def dequeue(self, block: bool) -> logging.LogRecord:  # noqa: FBT001
        while True:
            if time.monotonic() - self._reported >= _SUMMARY_SECONDS:
                self._reported = time.monotonic()
                self._report()
            try:
                return self._records.get(block, _SUMMARY_SECONDS)
            except queue.Empty:
                continue
