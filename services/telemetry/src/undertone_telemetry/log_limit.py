"""Suppresses log records that repeat, so that a bad caller cannot fill the log."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Final

_MAX_KEYS: Final = 256
_WINDOW_SECONDS: Final = 1.0
_MESSAGE_CHARACTERS: Final = 80


@dataclass(slots=True)
class _Window:
    """The records with one key in the current second.

    It does not refer to a record: a record's traceback keeps the objects of a whole call.
    """

    started: float
    logger: str
    level: int
    message: str
    admitted: int = 0
    suppressed: int = 0


class RepetitionLimit:
    """Admits `per_second` records of the same logger, level, message and exception type.

    The message is compared without its arguments. Thread-safe.
    """

    def __init__(self, per_second: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._windows: dict[Hashable, _Window] = {}
        # Bounded, because `summaries` is not called while the log is not read.
        self._suppressed: deque[_Window] = deque(maxlen=_MAX_KEYS)
        self._lock = threading.Lock()

    def admit(self, record: logging.LogRecord) -> bool:
        """Whether to log the record. A filter for logging.Handler.addFilter."""
        exception = record.exc_info[0] if record.exc_info else None
        key = (record.name, record.levelno, str(record.msg)[:_MESSAGE_CHARACTERS], exception)
        now = self._clock()
        with self._lock:
            window = self._windows.get(key)
            if window is None or now - window.started >= _WINDOW_SECONDS:
                self._close(key)
                if len(self._windows) >= _MAX_KEYS:
                    self._close(next(iter(self._windows)))
                message = record.getMessage()[:_MESSAGE_CHARACTERS]
                window = self._windows[key] = _Window(now, record.name, record.levelno, message)
            if window.admitted >= self._per_second:
                window.suppressed += 1
                return False
            window.admitted += 1
            return True

    def summaries(self) -> Iterator[tuple[str, int, str]]:
        """Logger, level and message for each kind of record that was suppressed."""
        now = self._clock()
        with self._lock:
            for key in [key for key, window in self._windows.items() if now - window.started >= _WINDOW_SECONDS]:
                self._close(key)
            closed = list(self._suppressed)
            self._suppressed.clear()
        for window in closed:
            yield window.logger, window.level, f"suppressed {window.suppressed} more records like: {window.message}"

    def _close(self, key: Hashable) -> None:
        window = self._windows.pop(key, None)
        if window and window.suppressed:
            self._suppressed.append(window)
