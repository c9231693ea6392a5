"""Limits the paragraphs of a lane in the sidecar, and shares the limit between callers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from undertone_sidecar.errors import OverloadedError
from undertone_sidecar.shared_limit import SharedLimit

LANE_FULL: Final = "lane_full"
CALLER_SHARE: Final = "caller_share"


class ProgressLimitError(OverloadedError):
    """Too many paragraphs are in progress. `reason` is LANE_FULL or CALLER_SHARE."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason: Final = reason


class Progress:
    """Paragraphs in progress of one lane, by caller. Callers share the lane as in SharedLimit."""

    def __init__(self, lane: str, limit: int) -> None:
        """`lane` is for messages. `limit` is the maximum number of paragraphs."""
        self._lane = lane
        self._places = SharedLimit(limit)

    @contextmanager
    def count(self, caller: str, paragraphs: int) -> Iterator[None]:
        """Counts paragraphs of a call during the block. A call alone in the lane always fits.

        Raises:
            ProgressLimitError: The call does not fit.
        """
        places = self._places
        if places.is_full(paragraphs):
            raise ProgressLimitError(
                f"{places.used} paragraphs of the lane {self._lane} are in progress; the limit is {places.limit}: retry later",
                LANE_FULL,
            )
        if places.exceeds_share(caller, paragraphs):
            raise ProgressLimitError(
                f"{places.used_by(caller)} paragraphs of this caller are in progress in the lane {self._lane}, "
                f"and {places.free} of {places.limit} places are free: retry later, or send fewer paragraphs at a time",
                CALLER_SHARE,
            )
        places.add(caller, paragraphs)
        try:
            yield
        finally:
            places.remove(caller, paragraphs)
