"""Calculates equal texts once that are requested at the same time (single-flight)."""

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from undertone_sidecar.answers import Classified
from undertone_sidecar.batching import Lane


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """A call that needs answers.

    `characters` is the work before the end of the call: the texts of the call and of the other
    calls of its caller in its lane.
    """

    lane: Lane
    caller: str
    characters: int

    def may_wait_for(self, leader: "Claim") -> bool:
        """Whether a calculation of its own would end no earlier than that of the leader.

        The online lane precedes the batch lane. In a lane, callers have equal shares, and the calls
        of a caller are in order.
        """
        if leader.lane is Lane.BATCH and self.lane is Lane.ONLINE:
            return False
        return self.is_behind(leader) or leader.characters <= self.characters

    def is_behind(self, leader: "Claim") -> bool:
        """Whether the calls are in one queue, in which the leader's call is earlier."""
        return leader.lane is self.lane and leader.caller == self.caller


@dataclass(slots=True, eq=False)
class _Calculation:
    """The calculation of one text. `waiting` is a heap: the first waits for the least work."""

    leader: Claim
    waiting: "list[tuple[bool, int, int, Claim, asyncio.Future[Classified | None]]]" = field(default_factory=list)


class SingleFlight:
    """The calculations in progress, by key.

    A call that needs an answer joins a calculation, or leads one of its own. If a leader ends
    without an answer, the waiting calls calculate, so that its failure affects no other call: one
    of them if the reason is the leader's own, such as its deadline, and otherwise each of them.
    They would otherwise fail one after the other.
    """

    def __init__(self) -> None:
        self._calculations: dict[bytes, list[_Calculation]] = {}
        self._characters: Counter[tuple[Lane, str]] = Counter()
        self._number = itertools.count()

    def __len__(self) -> int:
        """Number of keys in calculation."""
        return len(self._calculations)

    @contextmanager
    def claim(self, lane: Lane, caller: str, characters: int) -> Iterator[Claim]:
        """A call with texts of `characters` in total, until its end."""
        queue = (lane, caller)
        self._characters[queue] += characters
        try:
            yield Claim(lane, caller, self._characters[queue])
        finally:
            self._characters[queue] -= characters
            if not self._characters[queue]:
                del self._characters[queue]

    def join(self, key: bytes, claim: Claim) -> "asyncio.Future[Classified | None] | None":
        """Joins the calculation of a key.

        Returns:
            None if the call must calculate the answer, and then call `finish`. Otherwise, a future
            of the answer. If its result is None, the same applies from then on. Cancel the future
            to leave the calculation.
        """
        calculations = self._calculations.setdefault(key, [])
        joined = _best(calculations, claim)
        if joined is None:
            calculations.append(_Calculation(claim))
            return None
        future: asyncio.Future[Classified | None] = asyncio.get_running_loop().create_future()
        heapq.heappush(joined.waiting, (claim.lane is Lane.BATCH, claim.characters, next(self._number), claim, future))
        return future

    def finish(self, key: bytes, claim: Claim, answer: Classified | None, *, separately: bool = False) -> None:
        """Ends the calculation that the call leads. Does nothing if it leads none of the key.

        Args:
            key: Key of the answer.
            claim: The call.
            answer: The answer, for the calls of all calculations of the key. None if there is none.
            separately: Without an answer, whether each waiting call calculates from now on. If not,
                one of them does.
        """
        calculations = self._calculations.get(key, [])
        own = next((each for each in calculations if each.leader is claim), None)
        if own is None:
            return
        if answer is not None:
            for calculation in calculations:
                for *_, future in calculation.waiting:
                    if not future.done():
                        future.set_result(answer)
                calculation.waiting.clear()
        calculations.remove(own)
        if answer is None and separately:
            _separate(own, calculations)
        elif answer is None:
            _hand_over(own, calculations)
        if not calculations:
            del self._calculations[key]


def _best(calculations: Sequence[_Calculation], claim: Claim) -> _Calculation | None:
    """The calculation that the call should wait for. None if its own would end earlier."""
    possible = [each for each in calculations if claim.may_wait_for(each.leader)]
    return min(possible, key=lambda each: (not claim.is_behind(each.leader), each.leader.characters), default=None)


def _hand_over(ended: _Calculation, others: list[_Calculation]) -> None:
    """Lets a waiting call lead the calculation, unless all can wait for another one."""
    while ended.waiting:
        entry = heapq.heappop(ended.waiting)
        *_, claim, future = entry
        if future.done():
            continue
        if joined := _best(others, claim):
            heapq.heappush(joined.waiting, entry)
            continue
        ended.leader = claim
        others.append(ended)
        future.set_result(None)
        return


def _separate(ended: _Calculation, others: list[_Calculation]) -> None:
    """Lets each waiting call lead a calculation of its own."""
    for *_, claim, future in ended.waiting:
        if not future.done():
            others.append(_Calculation(claim))
            future.set_result(None)
    ended.waiting.clear()
