"""Everything that waits, and every decision about it: without I/O, without a clock."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from undertone_sidecar.batching.admission import Admission, Ahead, Refusal
from undertone_sidecar.batching.bounds import Bounds
from undertone_sidecar.batching.choice import Choice, choose
from undertone_sidecar.batching.cost import Cost
from undertone_sidecar.batching.item import Lane
from undertone_sidecar.batching.line import Line
from undertone_sidecar.batching.turns import Turns

T = TypeVar("T")

_OVERTAKING: Final = 16
"""Full calls' worth of younger work that may be preferred to an entry before its age decides."""

_MOST_WASTE: Final = 1 / 16
"""Part of the budget that may go to padding different lengths to one, however dear a call is."""

_EFFICIENT: Final = 0.93
"""Part of its time that a call of batch work spends on tokens, where it is cut short for the sake of online work."""


@dataclass(frozen=True, slots=True, eq=False)
class Call(Generic[T]):
    """A batch that is ready to go: the choice, and the lane whose turn it is."""

    choice: Choice[T]
    lane: Lane


class Schedule(Generic[T]):
    """Lines for both lanes, whose turn it is, and what a call costs."""

    def __init__(self, bounds: Bounds) -> None:
        self.cost = Cost()
        self._bounds = bounds
        self._online = Line[T](_OVERTAKING * bounds.budget)
        self._batch = Line[T](_OVERTAKING * bounds.budget)
        self._turns = Turns(share=bounds.batch_share, budget=bounds.budget)
        self._admission = Admission(self.cost, bounds)

    def join(self, payload: T, *, lane: Lane, length: int, version: int) -> None:
        """Waits from now on. `length` is in tokens, padded as if it were alone."""
        self._line(lane).join(payload, length=length, version=version)

    def refusal(self, lane: Lane, tokens: int, *, running: Callable[[], float], remaining: float) -> Refusal | None:
        """Why so many tokens more are not taken, from a caller who waits `remaining` seconds more; None if they are. `running`
        tells the seconds until a slot is free."""
        if not self._admission.is_doubtful(tokens, self._line(lane).tokens, remaining=remaining):
            return None
        return self._admission.refusal(tokens, self._ahead(lane, running()), remaining=remaining)

    def forget(self, wanted: Callable[[T], bool]) -> None:
        """Puts all out of the lines that are not wanted any more."""
        for line in (self._online, self._batch):
            for entry in list(line):
                if not wanted(entry.payload):
                    line.leave(entry)

    def next(
        self, wanted: Callable[[T], bool], *, free: int = 1, ends: Callable[[], Sequence[float]] = tuple
    ) -> Call[T] | None:
        """The call to make now, whose rows stay in line until `start`; None if nobody waits who is wanted.

        `free` slots are there for it and for those that follow at once: where less than a full call for each waits, they share
        it, rather than that one computes for all. `ends` tells the seconds until each of the calls that run beside it ends.
        """
        while lane := self._turn():
            line = self._line(lane)
            budget = self._budget(lane, ends)
            if free > 1:
                budget = min(budget, max(math.ceil(line.tokens / free), math.ceil(self.cost.overhead)))
            choice = choose(line, budget=budget, most_rows=self._bounds.rows, waste=self._waste(), wanted=wanted)
            if choice:
                return Call(choice, lane)
        return None

    def is_still_right(self, call: Call[T]) -> bool:
        """Whether it is still that lane's turn, as it need not be when somebody came meanwhile."""
        return self._turn() is call.lane

    def start(self, call: Call[T]) -> None:
        """The call is made: its rows have waited long enough."""
        for row in call.choice.rows:
            self._line(call.lane).leave(row)
        waits = call.lane is Lane.BATCH or bool(self._batch)
        self._turns.served(call.lane, call.choice.padded_tokens, batch_waits=waits)

    def all(self) -> Iterable[T]:
        """Everybody who waits."""
        return [entry.payload for line in (self._online, self._batch) for entry in line]

    def is_full_call_waiting(self) -> bool:
        """Whether so much waits in the lane whose turn it is that whoever comes will hardly make for a better batch."""
        lane = self._turn()
        return lane is not None and self._line(lane).tokens >= self._budget(lane)

    def _line(self, lane: Lane) -> Line[T]:
        return self._online if lane is Lane.ONLINE else self._batch

    def _turn(self) -> Lane | None:
        return self._turns.next(online=bool(self._online), batch=bool(self._batch))

    def _budget(self, lane: Lane, ends: Callable[[], Sequence[float]] = tuple) -> int:
        if lane is Lane.ONLINE or not self._turns.online_is_used or self._bounds.rows == 1:
            return self._bounds.budget
        # Who comes online next waits for a call to end. It is as short as it can be without wasting the model server's time.
        tokens = self.cost.overhead * _EFFICIENT / (1 - _EFFICIENT)
        if beside := ends():
            tokens = self.cost.tokens(apart(self.cost.seconds(tokens), beside, slots=self._bounds.slots))
        return min(self._bounds.budget, int(tokens) + 1)

    def _waste(self) -> float:
        return min(self.cost.overhead, _MOST_WASTE * self._bounds.budget)

    def _ahead(self, lane: Lane, running: float) -> Ahead:
        online, batch = self._online, self._batch
        if lane is Lane.BATCH:
            return Ahead(online.tokens + batch.tokens, len(online) + len(batch), batch.tokens, running)
        # Of the calls until then, some are for batch work.
        slower = 1 - self._bounds.batch_share if batch else 1.0
        return Ahead(online.tokens / slower, len(online) / slower, online.tokens, running)


def apart(seconds: float, ends: Sequence[float], *, slots: int) -> float:
    """About so many `seconds`, but such that a call of that length ends apart from the others: the next end is then never far.

    Where all calls take as long, one of them ends each time that `seconds` / `slots` have passed.
    """
    distance = seconds / slots
    lengths = [seconds, *(end + distance for end in ends), *(end - distance for end in ends)]
    suitable = (
        length for length in lengths if length >= seconds / 2 and all(abs(length - end) >= 0.99 * distance for end in ends)
    )
    return min(suitable, key=lambda length: abs(length - seconds))
