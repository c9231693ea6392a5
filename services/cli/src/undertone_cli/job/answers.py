"""What the service has said of texts, so that a text that comes again need not be sent again."""

from array import array
from collections import OrderedDict
from dataclasses import dataclass
from typing import Self

import grpc
from undertone_client.values import Failure, Outcome, Score

REMEMBERED = 100_000
"""Distinct texts, those that were needed last: some 30 MB. One that has fallen out is sent again when it comes again."""

REFUSALS = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE})
"""Statuses that say something about the text, and will be the same next time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The score of a text, whichever paragraph it stands in."""

    label: str
    probabilities: tuple[float, ...]
    tokens: int
    chunks: int
    truncated: bool

    @classmethod
    def of(cls, score: Score) -> Self:
        """What a score says of its text."""
        return cls(score.label, score.probabilities, score.tokens, score.chunks, score.truncated)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a text has no score."""

    status: grpc.StatusCode
    reason: str
    attempts: int

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """What a failure says of its text."""
        return cls(failure.status, failure.reason, failure.attempts)


class Answers:
    """The answers of the last `capacity` distinct texts, by the SHA-256 of each.

    Refusals are remembered, too; failures that may not happen again, such as UNAVAILABLE, are not.
    """

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        # Digests as bytes and probabilities as packed floats, which is what the table holds, take a fifth of the memory.
        self._known: OrderedDict[bytes, tuple[str, bytes, int, int, bool] | Refusal] = OrderedDict()

    def get(self, text_sha256: str) -> Answer | Refusal | None:
        """What is known of a text."""
        key = bytes.fromhex(text_sha256)
        known = self._known.get(key)
        if known is None:
            return None
        self._known.move_to_end(key)
        if isinstance(known, Refusal):
            return known
        label, packed, tokens, chunks, truncated = known
        return Answer(label, tuple(array("f", packed)), tokens, chunks, truncated)

    def learn(self, text_sha256: str, outcome: Outcome) -> Answer | Refusal:
        """Remember an outcome if it will not change; returns what it says of the text."""
        if isinstance(outcome, Failure):
            refusal = Refusal.of(outcome)
            if outcome.status in REFUSALS:
                self._put(text_sha256, refusal)
            return refusal
        answer = Answer.of(outcome)
        self.remember(text_sha256, answer)
        return answer

    def remember(self, text_sha256: str, answer: Answer) -> None:
        """Remember a score."""
        packed = array("f", answer.probabilities).tobytes()
        self._put(text_sha256, (answer.label, packed, answer.tokens, answer.chunks, answer.truncated))

    def _put(self, text_sha256: str, value: tuple[str, bytes, int, int, bool] | Refusal) -> None:
        key = bytes.fromhex(text_sha256)
        self._known[key] = value
        self._known.move_to_end(key)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
