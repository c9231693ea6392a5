"""Counts of a client's calls, as in Table 4 of the paper."""

import operator
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from undertone_client.resilience.events import (
    AttemptFinished,
    AttemptShed,
    CallRecovered,
    Event,
    HedgeSent,
    ParagraphsFailed,
    RetryScheduled,
)

JSON_KEYS: Final = {"recovered": "handled", "failed_paragraphs": "skipped"}
"""Keys in JSON that differ from the names of the fields. Existing files have these keys."""


@dataclass(frozen=True, slots=True)
class CallCounts:
    """Counts since the client was created.

    Counts of several clients can be added, and earlier counts subtracted.

    Args:
        attempts: attempts by gRPC status name, retries and hedges included. Attempts that the
            caller cancelled do not count.
        refused: batch replies with refused paragraphs, by status of the first refused paragraph.
        retried: attempts that followed a failed attempt of the same call.
        hedged: attempts that were sent in parallel to another attempt of the same call.
        recovered: attempts that failed or had refused paragraphs, in calls that succeeded later or
            were split in two. The caller does not see these failures. The remaining `errors` and
            `refused` belong to calls that failed or have not ended.
        shed: attempts that were not sent, because the circuit breaker was open.
        failed_paragraphs: paragraphs without a score, by the name of their last status.
    """

    attempts: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    retried: int = 0
    hedged: int = 0
    recovered: int = 0
    shed: int = 0
    failed_paragraphs: Mapping[str, int] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Number of failed attempts."""
        return sum(count for status, count in self.attempts.items() if status != "OK")

    def to_json(self) -> dict[str, Any]:
        """The counts as a JSON object, with the keys of `JSON_KEYS`."""
        return {JSON_KEYS.get(name, name): value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "CallCounts":
        """The counts in an object that `to_json` returned."""
        names = {key: name for name, key in JSON_KEYS.items()}
        return cls(**{names.get(key, key): value for key, value in document.items()})

    def __add__(self, other: "CallCounts") -> "CallCounts":
        return self._combine(operator.add, other)

    def __sub__(self, earlier: "CallCounts") -> "CallCounts":
        """The counts since `earlier`."""
        return self._combine(operator.sub, earlier)

    def _combine(self, operation: Callable[[int, int], int], other: "CallCounts") -> "CallCounts":
        values = {
            each.name: _combine_values(operation, getattr(self, each.name), getattr(other, each.name)) for each in fields(self)
        }
        return CallCounts(**values)


def _combine_values(operation: Callable[[int, int], int], left: Any, right: Any) -> Any:
    if isinstance(left, int):
        return operation(left, right)
    return {name: count for name in {**left, **right} if (count := operation(left.get(name, 0), right.get(name, 0)))}


class EventCounter:
    """A listener that counts events. `snapshot` returns the counts."""

    def __init__(self) -> None:
        self._attempts: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._failed_paragraphs: Counter[str] = Counter()
        self._retried = self._hedged = self._recovered = self._shed = 0

    def __call__(self, event: Event) -> None:
        match event:
            case AttemptFinished(cancelled=False):
                self._attempts[event.status.name] += 1
                if event.refused_status is not None:
                    self._refused[event.refused_status.name] += 1
            case RetryScheduled():
                self._retried += 1
            case HedgeSent():
                self._hedged += 1
            case CallRecovered():
                self._recovered += event.failures
            case AttemptShed():
                self._shed += 1
            case ParagraphsFailed():
                self._failed_paragraphs[event.status.name] += event.paragraphs

    def snapshot(self) -> CallCounts:
        """The current counts."""
        return CallCounts(
            attempts=dict(self._attempts),
            refused=dict(self._refused),
            retried=self._retried,
            hedged=self._hedged,
            recovered=self._recovered,
            shed=self._shed,
            failed_paragraphs=dict(self._failed_paragraphs),
        )
