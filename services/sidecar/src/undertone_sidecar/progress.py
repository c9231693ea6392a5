"""Limits the paragraphs of a lane in the sidecar, and shares the limit between callers."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from undertone_sidecar.errors import OverloadedError

LANE_FULL: Final = "lane_full"
CALLER_SHARE: Final = "caller_share"

_SHARE_OF_FREE: Final = 7
"""Maximum paragraphs of a caller, as a multiple of the free places."""


class ProgressLimitError(OverloadedError):
    """Too many paragraphs are in progress. `reason` is LANE_FULL or CALLER_SHARE."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason: Final = reason


class Progress:
    """Paragraphs in progress of one lane, by caller.

    A caller may have at most seven times as many paragraphs in progress as the lane has free
    places. So one caller alone can use 7/8 of the limit, callers that use all they can get equal
    shares, and a caller without paragraphs still finds a place (dynamic threshold: Choudhury and
    Hahne, 1998).
    """

    def __init__(self, lane: str, limit: int) -> None:
        """`lane` is for messages. `limit` is the maximum number of paragraphs."""
        self._lane = lane
        self._limit = limit
        self._total = 0
        self._callers: Counter[str] = Counter()

    @contextmanager
    def count(self, caller: str, paragraphs: int) -> Iterator[None]:
        """Counts paragraphs of a call during the block. A call alone in the lane always fits.

        Raises:
            ProgressLimitError: The call does not fit.
        """
        own, free = self._callers.get(caller, 0), self._limit - self._total
        if self._total and paragraphs > free:
            raise ProgressLimitError(
                f"{self._total} paragraphs of the lane {self._lane} are in progress; the limit is {self._limit}: retry later",
                LANE_FULL,
            )
        if own and own + paragraphs > _SHARE_OF_FREE * free:
            raise ProgressLimitError(
                f"{own} paragraphs of this caller are in progress in the lane {self._lane}, and {free} of {self._limit} places "
                "are free: retry later, or send fewer paragraphs at a time",
                CALLER_SHARE,
            )
        self._total += paragraphs
        self._callers[caller] += paragraphs
        try:
            yield
        finally:
            self._total -= paragraphs
            self._callers[caller] -= paragraphs
            if not self._callers[caller]:
                del self._callers[caller]
