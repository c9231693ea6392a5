"""The queue of paragraphs to send, sorted by length, and the choice of those that share a call."""

import math
import sys
from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import NamedTuple

from undertone_client.settings import Settings
from undertone_client.values import Paragraph, ServiceLimits


@dataclass(frozen=True, slots=True)
class CallBounds:
    """The largest content of one call. A single longer paragraph is sent alone."""

    items: int
    characters: int
    bytes: int

    @classmethod
    def from_settings(cls, settings: Settings, limits: ServiceLimits) -> "CallBounds":
        """The smaller of the client's settings and the service's limits."""
        return cls(
            items=min(settings.batch_items, limits.max_batch_paragraphs or settings.batch_items),
            characters=settings.batch_characters,
            bytes=limits.max_batch_bytes or sys.maxsize,
        )


class QueuedParagraph(NamedTuple):
    """A paragraph in the queue. Sorts by length, then by its number in the stream.

    A tuple, because the queue compares a dozen of them for each paragraph. With a dataclass, these
    comparisons were the most expensive part of the client.
    """

    characters: int
    number: int
    bytes: int
    paragraph: Paragraph


class LengthSortedQueue:
    """Paragraphs sorted by length, and the choice of those that share a call.

    A call takes the oldest paragraph and those closest to it in length.

    Similar lengths keep padding in the service's batches low. Starting with the oldest paragraph
    avoids starvation and keeps results close to the order of the input.
    """

    def __init__(self, bounds: CallBounds) -> None:
        self._bounds = bounds
        self._by_length: list[QueuedParagraph] = []
        self._by_age: dict[int, QueuedParagraph] = {}

    def __len__(self) -> int:
        return len(self._by_length)

    def add(self, paragraph: QueuedParagraph) -> None:
        """Add a paragraph. Its number must be higher than the numbers of earlier paragraphs."""
        insort(self._by_length, paragraph)
        self._by_age[paragraph.number] = paragraph

    def take(self) -> list[QueuedParagraph]:
        """Remove and return the paragraphs of the next call. The queue must not be empty."""
        oldest = next(iter(self._by_age.values()))
        start = bisect_left(self._by_length, oldest)
        end = start + 1
        characters, size = oldest.characters, oldest.bytes
        has_shorter, has_longer = start > 0, end < len(self._by_length)
        while (has_shorter or has_longer) and end - start < self._bounds.items:
            shorter_gap = oldest.characters - self._by_length[start - 1].characters if has_shorter else math.inf
            longer_gap = self._by_length[end].characters - oldest.characters if has_longer else math.inf
            take_longer = longer_gap < shorter_gap
            candidate = self._by_length[end if take_longer else start - 1]
            if characters + candidate.characters > self._bounds.characters or size + candidate.bytes > self._bounds.bytes:
                has_shorter, has_longer = has_shorter and take_longer, has_longer and not take_longer
                continue
            characters, size = characters + candidate.characters, size + candidate.bytes
            start, end = (start, end + 1) if take_longer else (start - 1, end)
            has_shorter, has_longer = has_shorter and start > 0, has_longer and end < len(self._by_length)
        taken = self._by_length[start:end]
        del self._by_length[start:end]
        for paragraph in taken:
            del self._by_age[paragraph.number]
        return taken
