"""The paragraphs that wait to be sent, and the choice of those that travel together."""

import math
import sys
from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import NamedTuple

from undertone_client.settings import Settings
from undertone_client.values import Limits, Paragraph

ENVELOPE_BYTES = 16
"""What a paragraph takes in a request beside its text and id: tags and lengths, at most."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one call may carry. A single paragraph beyond the characters or bytes travels alone."""

    items: int
    characters: int
    bytes: int

    @classmethod
    def of(cls, settings: Settings, limits: Limits) -> "Bounds":
        """The client's own bounds, or the service's where they are smaller; a limit of 0 is none."""
        return cls(
            items=min(settings.batch_items, limits.max_batch_paragraphs or settings.batch_items),
            characters=settings.batch_characters,
            bytes=limits.max_batch_bytes or sys.maxsize,
        )


class Entry(NamedTuple):
    """A paragraph with its length in characters, its place in the stream and its size in a request.

    A tuple, because a window compares a dozen of them for every paragraph: as a dataclass, that was the most costly thing that
    a client did. Ordinals differ, so what follows them is never compared.
    """

    characters: int
    ordinal: int
    bytes: int
    paragraph: Paragraph


class Window:
    """Paragraphs in the order of their length, from which calls are cut.

    Padding is what a model wastes its time on, so paragraphs of like length should travel together. The oldest one leads, so
    that none waits forever and results come in nearly the order of the input; its nearest in length go with it.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._by_length: list[Entry] = []
        self._by_age: dict[int, Entry] = {}

    def __len__(self) -> int:
        return len(self._by_length)

    def add(self, entry: Entry) -> None:
        """Put a paragraph in; its ordinal must be higher than those before."""
        insort(self._by_length, entry)
        self._by_age[entry.ordinal] = entry

    def take(self) -> list[Entry]:
        """Remove and return the paragraphs of the next call, at least one. The window must not be empty."""
        oldest = next(iter(self._by_age.values()))
        start = bisect_left(self._by_length, oldest)
        end = start + 1
        characters, size = oldest.characters, oldest.bytes
        below, above = start > 0, end < len(self._by_length)
        while (below or above) and end - start < self._bounds.items:
            gap_below = oldest.characters - self._by_length[start - 1].characters if below else math.inf
            gap_above = self._by_length[end].characters - oldest.characters if above else math.inf
            up = gap_above < gap_below
            chosen = self._by_length[end if up else start - 1]
            if characters + chosen.characters > self._bounds.characters or size + chosen.bytes > self._bounds.bytes:
                below, above = below and up, above and not up
                continue
            characters, size = characters + chosen.characters, size + chosen.bytes
            start, end = (start, end + 1) if up else (start - 1, end)
            below, above = below and start > 0, above and end < len(self._by_length)
        taken = self._by_length[start:end]
        del self._by_length[start:end]
        for entry in taken:
            del self._by_age[entry.ordinal]
        return taken
