"""The queue of a lane, which the callers of the lane share fairly."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count, groupby
from typing import Final, TypeAlias

from undertone_sidecar.batching.backlogs import Backlogs
from undertone_sidecar.batching.request import Request

Entry: TypeAlias = tuple[float, int, Request]
"""Virtual start time, number of arrival, and request."""

_MAX_LEAD_SHARE: Final = 1 / 64
"""Maximum lead of the virtual time over the first request, as a share of the starvation limit."""

_SHARED_LIMIT_FACTOR: Final = 4
"""Factor of the starvation limit if several callers have a backlog. The order of their requests is
not that of arrival, so more requests overtake others, and overdue requests need more padding."""


@dataclass(slots=True, eq=False)
class _Caller:
    """A caller that has requests in the queue, or that was served before its turn.

    `finish` is the virtual time at which its newest request ends. `requests` has the oldest first.
    """

    finish: float
    requests: dict[Request, None] = field(default_factory=dict)  # An ordered set.


class LaneQueue:
    """Queue of one lane in fair order, with buckets by model version and padded length.

    The order is that of start-time fair queueing (Goyal, Vin and Cheng, 1996). Virtual time counts
    padded tokens for each caller. A request starts when the previous request of its caller ends, or
    now if that is later. So the requests of one caller are served in order of arrival, callers with
    a backlog get equal shares, and a caller without a backlog is served next.

    Requests can leave from any position. A request that leaves without being served is not charged
    to its caller. Each operation takes O(log requests) comparisons. Only callers that have requests
    in the queue, or that were served before their turn, are remembered.
    """

    def __init__(self, starvation_limit: int) -> None:
        """`starvation_limit` is in padded tokens; see `is_overdue`."""
        self.backlogs: Final = Backlogs()
        self._starvation_limit: Final = starvation_limit
        self._order: list[Entry] = []
        self._buckets: dict[tuple[int, int], list[Entry]] = {}
        self._callers: dict[str, _Caller] = {}
        self._arrivals = count()
        self._tokens = 0
        # Virtual time: the start of the first request, and the tokens that each caller could have
        # received. The second one advances even if new callers arrive all the time, who would
        # otherwise be served before the second request of any other caller.
        self._first_start = 0.0
        self._fair_tokens = 0.0
        self._max_lead: Final = max(1.0, _MAX_LEAD_SHARE * starvation_limit)
        # Served before their turn: virtual start time and tokens of requests, and the virtual time
        # at which callers without requests may be forgotten.
        self._overtaking: list[tuple[float, int]] = []
        self._overtaking_tokens = 0
        self._ahead: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Request]:
        """In fair order. Requests can be removed meanwhile."""
        return (request for _, _, request in self._order.copy())

    @property
    def tokens(self) -> int:
        """Sum of the padded lengths of all requests in the queue."""
        return self._tokens

    @property
    def callers(self) -> int:
        """Number of callers that are remembered."""
        return len(self._callers)

    def add(self, requests: Sequence[Request]) -> None:
        """Adds the requests of one paragraph."""
        name = requests[0].caller
        if (caller := self._callers.get(name)) is None:
            caller = self._callers[name] = _Caller(self._now)
        start = max(caller.finish, self._now)
        added, paragraph = 0, next(self._arrivals)
        for request in requests:
            request.paragraph = paragraph
            request.position = start + added, next(self._arrivals)
            entry = (*request.position, request)
            insort(self._order, entry)
            insort(self._buckets.setdefault((request.version, request.cost), []), entry)
            caller.requests[request] = None
            added += request.cost
        caller.finish = start + added
        self._tokens += added
        self.backlogs.change(name, added)

    def remove(self, request: Request) -> None:
        """Removes a request that is not served. Raises KeyError if it is not in the queue."""
        caller = self._take(request)
        caller.finish -= request.cost
        self.backlogs.change(request.caller, -request.cost)
        self._forget_unless_ahead(request.caller, caller)
        self._advance()

    def serve(self, requests: Sequence[Request]) -> None:
        """Removes requests that are sent. Raises KeyError if one is not in the queue."""
        served: dict[str, int] = {}
        callers = len(self.backlogs)
        for request in requests:
            self._take(request)
            served[request.caller] = served.get(request.caller, 0) + request.cost
            heappush(self._overtaking, (request.position[0], request.cost))
            self._overtaking_tokens += request.cost
        self._fair_tokens += sum(served.values()) / callers
        self._advance()
        for name, tokens in served.items():
            self.backlogs.change(name, -tokens)
            if caller := self._callers.get(name):
                self._forget_unless_ahead(name, caller)

    def is_overdue(self, tokens_before: int) -> bool:
        """Whether a request has been overtaken too often, so that it must be served next.

        Requests overtake others if their length fits better into a batch. A request is overdue once
        `starvation_limit` tokens of requests behind it have been served, or four times as many if
        several callers have a backlog. Age is counted in tokens instead of seconds, so the limit
        holds at any speed.

        Args:
            tokens_before: Tokens of the requests before it that are in the queue.
        """
        limit = self._starvation_limit * (_SHARED_LIMIT_FACTOR if len(self.backlogs) > 1 else 1)
        return self._overtaking_tokens - tokens_before >= limit

    def buckets(self, version: int) -> Mapping[int, Sequence[Entry]]:
        """Entries of a model version by padded length, in fair order in each bucket."""
        return {length: bucket for (key, length), bucket in self._buckets.items() if key == version}

    def room_for(self, name: str, tokens: int, excess: int) -> Sequence[Request] | None:
        """The requests to remove, at least `excess` tokens, for `tokens` new tokens of a caller.

        These are the newest paragraphs of the callers that have more tokens in the queue than the
        caller would have (longest queue drop: Suter et al., 1998). None if there are too few: then
        the caller has at least an equal share of the queue.
        """
        own = self.backlogs[name] + tokens
        larger = self.backlogs.descending()
        upcoming = next(larger, None)
        chosen: list[Request] = []
        left: list[tuple[int, str, Iterator[list[Request]]]] = []
        while excess > 0:
            while upcoming and (not left or upcoming[0] >= -left[0][0]):
                heappush(left, (-upcoming[0], upcoming[1], self._newest_paragraphs(upcoming[1])))
                upcoming = next(larger, None)
            if not left or -left[0][0] <= own:
                return None
            backlog, other, paragraphs = heappop(left)
            newest = next(paragraphs)
            chosen += newest
            removed = sum(request.cost for request in newest)
            excess -= removed
            heappush(left, (backlog + removed, other, paragraphs))
        return chosen

    def _newest_paragraphs(self, name: str) -> Iterator[list[Request]]:
        for _, paragraph in groupby(reversed(self._callers[name].requests), key=lambda request: request.paragraph):
            yield list(paragraph)

    def _take(self, request: Request) -> _Caller:
        caller = self._callers[request.caller]
        del caller.requests[request]
        del self._order[bisect_left(self._order, request.position)]
        key = request.version, request.cost
        bucket = self._buckets[key]
        del bucket[bisect_left(bucket, request.position)]
        if not bucket:
            del self._buckets[key]
        self._tokens -= request.cost
        return caller

    def _advance(self) -> None:
        """Advances the virtual time after requests have left."""
        if not self._order:
            # A caller that was served before its turn took nothing from other callers.
            self._first_start = self._fair_tokens
            self._callers.clear()
            self._overtaking.clear()
            self._overtaking_tokens = 0
            self._ahead.clear()
            return
        self._first_start = self._order[0][0]
        self._fair_tokens = max(self._fair_tokens, self._first_start)
        while self._overtaking and self._overtaking[0][0] <= self._first_start:
            self._overtaking_tokens -= heappop(self._overtaking)[1]
        while self._ahead and self._ahead[0][0] <= self._now:
            name = heappop(self._ahead)[1]
            if caller := self._callers.get(name):
                self._forget_unless_ahead(name, caller)

    @property
    def _now(self) -> float:
        """The virtual time at which the request of a new caller starts."""
        return min(self._fair_tokens, self._first_start + self._max_lead)

    def _forget_unless_ahead(self, name: str, caller: _Caller) -> None:
        if caller.requests:
            return
        if caller.finish <= self._now:
            del self._callers[name]
        else:
            heappush(self._ahead, (caller.finish, name))
