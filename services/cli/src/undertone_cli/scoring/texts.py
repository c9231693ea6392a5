"""Pending texts and a cache of results, so that each text is sent only once."""

import asyncio
from array import array
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Self

import grpc
from undertone_client.values import Failure, Outcome

from undertone_cli.readers import InputParagraph
from undertone_cli.run_folder import Part, TextScore

CACHE_TEXTS = 100_000
"""Capacity of the cache in distinct texts, about 30 MB. A text that was evicted is sent again."""

MAX_DUPLICATES = 10_000
"""Maximum number of paragraphs that wait for another paragraph with the same text."""

PERMANENT_STATUSES = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE})
"""Statuses that the same text gets again on a retry."""


@dataclass(frozen=True, slots=True)
class TextFailure:
    """The reason why a text has no score. The fields are as in `Failure`."""

    status: grpc.StatusCode
    reason: str
    attempts: int

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """The part of a failure that depends only on the text."""
        return cls(failure.status, failure.reason, failure.attempts)


_PackedScore = tuple[str, bytes, int, int, bool, tuple[str, ...], str | None]


class ResultCache:
    """Results of the `capacity` most recently used distinct texts, by SHA-256.

    It holds scores and permanent failures. Failures that a retry may fix are not stored.
    """

    def __init__(self, capacity: int = CACHE_TEXTS) -> None:
        self._capacity = capacity
        # Binary digests and packed floats take a fifth of the memory of Python's objects.
        self._results: OrderedDict[bytes, _PackedScore | TextFailure] = OrderedDict()

    def get(self, text_sha256: str) -> TextScore | TextFailure | None:
        """The result of a text. None if it is not in the cache."""
        key = bytes.fromhex(text_sha256)
        result = self._results.get(key)
        if result is None:
            return None
        self._results.move_to_end(key)
        if isinstance(result, TextFailure):
            return result
        label, packed, tokens, chunks, truncated, above, flags = result
        return TextScore(label, tuple(array("f", packed)), tokens, chunks, truncated, above, flags)

    def add(self, text_sha256: str, outcome: Outcome) -> TextScore | TextFailure:
        """Add an outcome unless it is a temporary failure. Returns the text's result."""
        if isinstance(outcome, Failure):
            failure = TextFailure.of(outcome)
            if outcome.status in PERMANENT_STATUSES:
                self._put(text_sha256, failure)
            return failure
        score = TextScore.of(outcome)
        self.add_score(text_sha256, score)
        return score

    def add_score(self, text_sha256: str, score: TextScore) -> None:
        """Add a score."""
        packed = array("f", score.probabilities).tobytes()
        above = score.labels_above_threshold
        result = (score.label, packed, score.tokens, score.chunks, score.truncated, above, score.flags)
        self._put(text_sha256, result)

    def _put(self, text_sha256: str, result: _PackedScore | TextFailure) -> None:
        key = bytes.fromhex(text_sha256)
        self._results[key] = result
        self._results.move_to_end(key)
        if len(self._results) > self._capacity:
            self._results.popitem(last=False)


@dataclass(frozen=True, slots=True)
class PendingParagraph:
    """A paragraph that waits for the result of its text, and its part."""

    part: Part
    paragraph: InputParagraph


class PendingTexts:
    """Texts that were sent, each with the paragraphs that wait for its result.

    Only the first paragraph with a text is sent; its duplicates wait for the same result.
    """

    def __init__(self) -> None:
        self._by_hash: dict[str, list[PendingParagraph]] = {}
        self._hash_by_ordinal: dict[int, str] = {}
        self._duplicates = 0
        self._room = asyncio.Event()

    def add(self, part: Part, paragraph: InputParagraph) -> bool:
        """Add a paragraph. Returns whether to send it: False if its text was sent already."""
        waiting = self._by_hash.get(paragraph.text_sha256)
        if waiting is None:
            self._by_hash[paragraph.text_sha256] = [PendingParagraph(part, paragraph)]
            self._hash_by_ordinal[paragraph.ordinal] = paragraph.text_sha256
            return True
        waiting.append(PendingParagraph(part, replace(paragraph, text=None)))  # one copy of the text is enough
        self._duplicates += 1
        return False

    async def wait_for_room(self) -> None:
        """Wait until there are at most MAX_DUPLICATES duplicates."""
        while self._duplicates > MAX_DUPLICATES:
            self._room.clear()
            await self._room.wait()

    def pop(self, ordinal: int) -> list[PendingParagraph]:
        """Remove the text of a paragraph that was sent. Returns its paragraphs, that one first."""
        waiting = self._by_hash.pop(self._hash_by_ordinal.pop(ordinal))
        self._duplicates -= len(waiting) - 1
        self._room.set()
        return waiting
