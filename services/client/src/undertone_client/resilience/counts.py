"""The paper's Table 4: what went wrong in a run, and what became of it."""

import operator
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from undertone_client.resilience.events import AttemptFinished, Event, Hedged, Recovered, Retried, Shed, Skipped


@dataclass(frozen=True, slots=True)
class CallCounts:
    """Counts since the client was made; those of several clients may be added, and those of an earlier moment subtracted.

    attempts: attempts by the name of their gRPC status, hedges and retries included. `OK` are those that were answered;
        what their own caller cancelled is not counted.
    refused: answered batches that asked to send paragraphs again, by the status of those.
    retried: attempts that followed a failed one of the same call.
    hedged: attempts that were sent beside another.
    handled: attempts that failed, or refused a part, of calls that were answered in the end or halved, so that nobody saw the
        error. What `errors` and `refused` have beyond them are those of calls that failed for good, or go on.
    shed: attempts that were never sent, because the circuit breaker was open.
    skipped: paragraphs without a score, by the name of their last status.
    """

    attempts: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    retried: int = 0
    hedged: int = 0
    handled: int = 0
    shed: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Attempts that failed."""
        return sum(count for status, count in self.attempts.items() if status != "OK")

    def __add__(self, other: "CallCounts") -> "CallCounts":
        return self._combined(operator.add, other)

    def __sub__(self, earlier: "CallCounts") -> "CallCounts":
        """What has come since `earlier`, counts of the same client or clients."""
        return self._combined(operator.sub, earlier)

    def _combined(self, combine: Callable[[int, int], int], other: "CallCounts") -> "CallCounts":
        # By the fields that there are: a new one cannot be forgotten here.
        return CallCounts(
            **{each.name: _each(combine, getattr(self, each.name), getattr(other, each.name)) for each in fields(self)}
        )


def _each(combine: Callable[[int, int], int], one: Any, other: Any) -> Any:
    if isinstance(one, int):
        return combine(one, other)
    names = {**one, **other}
    return {name: count for name in names if (count := combine(one.get(name, 0), other.get(name, 0)))}


class Counts:
    """Listens to events and counts them."""

    def __init__(self) -> None:
        self._attempts: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._retried = self._hedged = self._handled = self._shed = 0

    def __call__(self, event: Event) -> None:
        match event:
            case AttemptFinished(cancelled=False):
                self._attempts[event.status.name] += 1
                if event.refused is not None:
                    self._refused[event.refused.name] += 1
            case Retried():
                self._retried += 1
            case Hedged():
                self._hedged += 1
            case Recovered():
                self._handled += event.failures
            case Shed():
                self._shed += 1
            case Skipped():
                self._skipped[event.status.name] += event.paragraphs

    def snapshot(self) -> CallCounts:
        """The counts of this moment."""
        return CallCounts(
            attempts=dict(self._attempts),
            refused=dict(self._refused),
            retried=self._retried,
            hedged=self._hedged,
            handled=self._handled,
            shed=self._shed,
            skipped=dict(self._skipped),
        )
