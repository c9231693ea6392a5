"""Notices as lines of the log."""

import logging
from typing import Final

from undertone_telemetry.metric import Measurement
from undertone_telemetry.notice import Level, Notice

_LEVELS: Final = {
    Level.INFO: logging.INFO,
    Level.SUCCESS: logging.INFO,
    Level.WARNING: logging.WARNING,
    Level.ERROR: logging.ERROR,
}

log = logging.getLogger(__name__)


class NoticeLog:
    """An adapter that logs notices, with their labels as fields of the line."""

    name = "log"

    def record(self, measurement: Measurement) -> None:
        """Numbers are not logged."""

    def tell(self, notice: Notice) -> None:
        message = ": ".join(filter(None, (notice.title, notice.text.replace("\n", "; "))))
        log.log(_LEVELS[notice.level], message, extra=dict(notice.labels))

    def close(self) -> None:
        """Nothing waits."""
