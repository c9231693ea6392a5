"""Decides what the model server does next. Without I/O and without a clock."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from undertone_sidecar.batching.admission import AdmissionControl, Backlog, BatchLimits, Refusal
from undertone_sidecar.batching.cost import CostModel
from undertone_sidecar.batching.lane_queue import LaneQueue
from undertone_sidecar.batching.lanes import FairShare
from undertone_sidecar.batching.request import Lane, Request
from undertone_sidecar.batching.selection import BatchSelection, no_token_limit, select_batch
from undertone_sidecar.batching.start import Start

_STARVATION_LIMIT_BATCHES: Final = 16
"""Full batches of younger requests that may overtake a request before it becomes overdue."""

_MAX_PADDING_SHARE: Final = 1 / 16
"""Maximum share of the budget for padding different lengths to one, however expensive a call is."""

_MIN_EFFICIENCY: Final = 0.93
"""Share of its duration that a shortened batch still spends on tokens instead of overhead."""


class Schedule:
    """The queues of both lanes, and the algorithms that decide about them."""

    def __init__(self, limits: BatchLimits) -> None:
        self.cost = CostModel(limits.slots)
        self._limits = limits
        self._create_queues()
        self._fair_share = FairShare(share=limits.batch_share, budget=limits.budget)
        self._admission = AdmissionControl(self.cost, limits)

    def add(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Adds the requests of one paragraph, which `refusal` did not refuse.

        Returns:
            Requests of other callers that were removed, because the queue would be too full.
        """
        queue, caller = self._queue(requests[0].lane), requests[0].caller
        removed = self._room_for(queue, caller, _tokens(requests)) or ()
        for request in removed:
            queue.remove(request)
        queue.add(requests)
        return removed

    def refusal(
        self,
        lane: Lane,
        caller: str,
        tokens: int,
        longest: int,
        *,
        slots: Callable[[], Sequence[float]],
        starts: Callable[[], Sequence[Start]],
        remaining: float,
    ) -> Refusal | None:
        """The reason to refuse `tokens` more tokens of a caller. None to accept them.

        Args:
            lane: The lane of the new requests.
            caller: The caller of the new requests.
            tokens: Padded tokens of the new requests.
            longest: Padded tokens of the longest of them.
            slots: Returns the estimated seconds until each slot may be used.
            starts: Returns the times at which the next call can start.
            remaining: Seconds until the caller's deadline.
        """
        queue = self._queue(lane)
        if not self._admission.needs_check(tokens, queue.tokens, remaining=remaining):
            return None
        lane_tokens = queue.tokens - _tokens(self._room_for(queue, caller, tokens) or ())
        backlog = self._backlog(lane, caller, tokens, lane_tokens, slots(), () if len(self) else starts())
        return self._admission.refusal(tokens, longest, backlog, remaining=remaining)

    def remove_unwanted(self, is_wanted: Callable[[Request], bool]) -> None:
        """Removes the queued requests of both lanes for which `is_wanted` is false."""
        for queue in (self._online_queue, self._batch_queue):
            for request in list(queue):
                if not is_wanted(request):
                    queue.remove(request)

    def next_batch(
        self,
        is_wanted: Callable[[Request], bool],
        *,
        free_slots: int = 1,
        remaining_seconds: Callable[[], Sequence[float]] = tuple,
        token_limit: Callable[[Request], float] = no_token_limit,
    ) -> BatchSelection | None:
        """Selects the batch to send now. Its requests stay in the queue until `start`.

        Args:
            is_wanted: Whether a request still needs a result. Unwanted requests are removed.
            free_slots: Slots to fill. If the queue holds less than a full batch for each, the slots
                share it, so that one call does not do all of the work.
            remaining_seconds: Returns the remaining seconds of each other call in flight.
            token_limit: Returns the maximum padded tokens of a batch that ends before the deadline
                of a request. The request stays in the queue if it has more.

        Returns:
            None if no queued request can be sent now.
        """
        first = self._next_lane()
        for lane in (first, Lane.BATCH if first is Lane.ONLINE else Lane.ONLINE) if first else ():
            queue = self._queue(lane)
            budget = self._budget(lane, remaining_seconds)
            if free_slots > 1:
                budget = min(budget, max(math.ceil(queue.tokens / free_slots), math.ceil(self.cost.overhead_tokens)))
            selection = select_batch(
                queue,
                budget=budget,
                max_padding=min(self.cost.overhead_tokens, _MAX_PADDING_SHARE * self._limits.budget),
                is_wanted=is_wanted,
                token_limit=token_limit,
            )
            if selection:
                return selection
        return None

    def is_current(self, selection: BatchSelection) -> bool:
        """Whether the lane of the selection is still next. New online requests can change that."""
        return self._next_lane() is selection.lane

    def start(self, selection: BatchSelection) -> None:
        """Removes the requests of a batch that is sent, and charges their lane."""
        queue = self._queue(selection.lane)
        queue.serve(selection.requests)
        batch_waiting = selection.lane is Lane.BATCH or bool(self._batch_queue)
        self._fair_share.record(selection.lane, selection.cost, batch_waiting=batch_waiting)

    def __len__(self) -> int:
        """Number of queued requests."""
        return len(self._online_queue) + len(self._batch_queue)

    def requests(self) -> Sequence[Request]:
        """All queued requests."""
        return [*self._online_queue, *self._batch_queue]

    def clear(self) -> Sequence[Request]:
        """Removes all requests, and returns them. Works in any state of the queues."""
        requests = self.requests()
        self._create_queues()
        return requests

    def _create_queues(self) -> None:
        self._online_queue = LaneQueue(_STARVATION_LIMIT_BATCHES * self._limits.budget)
        self._batch_queue = LaneQueue(_STARVATION_LIMIT_BATCHES * self._limits.budget)

    def has_full_batch(self) -> bool:
        """Whether a full batch is queued, which more requests would hardly improve."""
        lane = self._next_lane()
        return lane is not None and self._queue(lane).tokens >= self._budget(lane)

    def _queue(self, lane: Lane) -> LaneQueue:
        return self._online_queue if lane is Lane.ONLINE else self._batch_queue

    def _room_for(self, queue: LaneQueue, caller: str, tokens: int) -> Sequence[Request] | None:
        return queue.room_for(caller, tokens, queue.tokens + tokens - self._limits.queue_tokens)

    def _next_lane(self) -> Lane | None:
        return self._fair_share.next_lane(online_waiting=bool(self._online_queue), batch_waiting=bool(self._batch_queue))

    def _budget(self, lane: Lane, remaining_seconds: Callable[[], Sequence[float]] = tuple) -> int:
        if lane is Lane.ONLINE or not self._fair_share.is_online_active:
            return self._limits.budget
        # The next online request waits for a call to end, so batch calls are as short as they can
        # be at _MIN_EFFICIENCY.
        tokens = self.cost.overhead_tokens * _MIN_EFFICIENCY / (1 - _MIN_EFFICIENCY)
        if others := remaining_seconds():
            seconds = stagger(self.cost.seconds(tokens), others, slots=self._limits.slots)
            tokens = self.cost.tokens_within(seconds)
        return min(self._limits.budget, int(tokens) + 1)

    def _backlog(
        self, lane: Lane, caller: str, tokens: int, lane_tokens: int, slots: Sequence[float], starts: Sequence[Start]
    ) -> Backlog:
        queue = self._queue(lane)
        # Until the last new request is served, each other caller gets at most as many tokens as
        # this caller.
        first = min(queue.tokens, queue.backlogs.capped_sum(queue.backlogs[caller] + tokens))
        if lane is Lane.BATCH:
            return Backlog(self._online_queue.tokens + first, lane_tokens, slots, starts)
        # The batch lane takes its share of the calls in the meantime.
        online_share = 1 - self._limits.batch_share if self._batch_queue else 1.0
        return Backlog(first / online_share, lane_tokens, slots, starts)


def _tokens(requests: Iterable[Request]) -> int:
    return sum(request.cost for request in requests)


def stagger(seconds: float, remaining_seconds: Sequence[float], *, slots: int) -> float:
    """A duration near `seconds` for a call that ends well before or after the other calls.

    If all calls take equally long, one of them then ends every `seconds` / `slots`.
    """
    distance = seconds / slots
    candidates = [
        seconds,
        *(end + distance for end in remaining_seconds),
        *(end - distance for end in remaining_seconds),
    ]
    staggered = (
        candidate
        for candidate in candidates
        if candidate >= seconds / 2 and all(abs(candidate - end) >= 0.99 * distance for end in remaining_seconds)
    )
    return min(staggered, key=lambda candidate: abs(candidate - seconds))
