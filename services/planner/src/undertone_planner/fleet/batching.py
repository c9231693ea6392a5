"""The sidecar of a pod: queues of two lanes, batches within a token budget, slots, and shedding.

It follows undertone_sidecar.batching. What it simplifies: all paragraphs of a call have the same
length, no call becomes overdue, all calls belong to one caller, and forecasts know the true service
time.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import grpc

from undertone_planner.fleet.lane_share import LaneShare
from undertone_planner.fleet.work import CallError, Lane, Work

MAX_PADDING_SHARE: Final = 1 / 16
"""Maximum share of the budget for padding different lengths to one."""
SHORT_EFFICIENCY: Final = 0.93
"""Share of its duration that a batch beside readers spends on tokens."""


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Service time of a call: `seconds_per_call` plus `seconds_per_token` for each token."""

    seconds_per_call: float = 0.01
    seconds_per_token: float = 0.001

    def seconds(self, tokens: float) -> float:
        return self.seconds_per_call + self.seconds_per_token * tokens


@dataclass(frozen=True, slots=True)
class BatchingSettings:
    """Settings of a sidecar.

    service_time: duration of a call to the model server while all slots are busy.
    slots: calls to the model server at once (--model-calls).
    batch_tokens: maximum tokens of a call to the model server (--batch-tokens). None never merges
        calls: each has a slot for itself.
    queue: calls of a lane that may wait. Further calls are refused with RESOURCE_EXHAUSTED.
    queue_tokens: tokens of a lane that may wait (--max-queue-tokens). None: no limit.
    queue_paragraphs: paragraphs of a lane in the pod (--max-queue). None: no limit.
    batch_lane_share: minimum share of the batch lane while it has calls (--batch-lane-share).
    sheds_late: refuse calls that cannot be answered before their deadline.
    pushback_ms: wait that refusals ask for. None: half of the time until the queue is empty.
    """

    service_time: ServiceTime = field(default_factory=ServiceTime)
    slots: int = 1
    batch_tokens: int | None = None
    queue: int | None = 16
    queue_tokens: int | None = None
    queue_paragraphs: int | None = None
    batch_lane_share: float = 0.1
    sheds_late: bool = False
    pushback_ms: int | None = 200


@dataclass(slots=True, eq=False)
class _Call:
    """A call in the pod. `waiting` paragraphs are in the queue, `unanswered` are not computed."""

    tokens_per_paragraph: float
    waiting: int
    unanswered: int
    lane: Lane
    deadline: float
    done: "asyncio.Future[None]"


@dataclass(slots=True, eq=False)
class _Batch:
    """A call to the model server."""

    parts: list[tuple[_Call, int]]
    tokens: float
    started_at: float
    ends_at: float
    timer: asyncio.TimerHandle | None = None


class Batching:
    """Serves calls. All methods return at once, except `serve`."""

    def __init__(self, settings: BatchingSettings, clock: Callable[[], float]) -> None:
        self.slowdown = 1.0
        self.served_tokens = 0.0
        self._settings = settings
        self._clock = clock
        self._queues: dict[Lane, deque[_Call]] = {lane: deque() for lane in Lane}
        self._queued_tokens = dict.fromkeys(Lane, 0.0)
        self._paragraphs = dict.fromkeys(Lane, 0)
        self._batches: list[_Batch] = []
        self._in_flight = 0
        self._hung = False
        self._share = LaneShare(settings.batch_lane_share, settings.batch_tokens)
        self._busy_seconds = 0.0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_flight(self) -> int:
        """Calls in the queue or being served."""
        return self._in_flight

    @property
    def busy_seconds(self) -> float:
        """Mean busy time of the slots since the start."""
        now = self._clock()
        running = sum(now - batch.started_at for batch in self._batches)
        return (self._busy_seconds + running) / self._settings.slots

    @property
    def queued_tokens(self) -> float:
        """Tokens in the queues of both lanes."""
        return sum(self._queued_tokens.values())

    @property
    def hung(self) -> bool:
        """Whether no call starts or ends. Connections are still accepted, as the kernel does."""
        return self._hung

    @hung.setter
    def hung(self, hung: bool) -> None:
        self._hung = hung
        for batch in self._batches:
            if hung and batch.timer is not None:
                batch.timer.cancel()
                batch.timer = None
            elif not hung and batch.timer is None:
                batch.timer = asyncio.get_running_loop().call_later(self._seconds(batch.tokens), self._finish, batch)
        if not hung:
            self._fill_slots()

    async def serve(self, work: Work, deadline: float = math.inf) -> None:
        """Return when a call has been served.

        Raises:
            CallError: RESOURCE_EXHAUSTED if a queue is full or the deadline cannot be met;
                UNAVAILABLE if the process ends.
        """
        if not self._hung:  # a hung process cannot refuse
            self._admit(work, deadline)
        tokens = work.tokens / work.paragraphs
        call = _Call(tokens, work.paragraphs, work.paragraphs, work.lane, deadline, asyncio.get_running_loop().create_future())
        self._queues[work.lane].append(call)
        self._queued_tokens[work.lane] += work.tokens
        self._paragraphs[work.lane] += work.paragraphs
        self._in_flight += 1
        self._idle.clear()
        try:
            self._fill_slots()
            await call.done
        finally:
            self._paragraphs[work.lane] -= work.paragraphs
            if call.waiting and call in self._queues[call.lane]:
                self._queues[call.lane].remove(call)
                self._leave_queue(call, call.waiting)
            self._in_flight -= 1
            if not self._in_flight and not self._batches:
                self._idle.set()

    def end(self) -> None:
        """End the process: all calls in flight are reset."""
        self._hung = False
        self.slowdown = 1.0
        # Not a set, whose order differs between runs.
        calls = dict.fromkeys(call for batch in self._batches for call, _ in batch.parts)
        for batch in list(self._batches):
            if batch.timer is not None:
                batch.timer.cancel()
            self._busy_seconds += self._clock() - batch.started_at
        self._batches.clear()
        for lane, queue in self._queues.items():
            calls.update(dict.fromkeys(queue))
            queue.clear()
            self._queued_tokens[lane] = 0.0
        for call in calls:
            call.waiting = 0
            if not call.done.done():
                call.done.set_exception(CallError(grpc.StatusCode.UNAVAILABLE, "connection reset by peer"))
        self._idle.set()

    async def idle(self) -> None:
        """Wait until no call is in flight."""
        await self._idle.wait()

    def _admit(self, work: Work, deadline: float) -> None:
        settings, lane = self._settings, work.lane
        queue = self._queues[lane]
        if settings.queue is not None and len(queue) >= settings.queue:
            self._refuse(f"{len(queue)} calls are waiting")
        if settings.queue_tokens is not None and queue and self._queued_tokens[lane] + work.tokens > settings.queue_tokens:
            self._refuse(f"{self._queued_tokens[lane]:.0f} tokens are waiting")
        in_progress = self._paragraphs[lane]
        if settings.queue_paragraphs is not None and in_progress and in_progress + work.paragraphs > settings.queue_paragraphs:
            self._refuse(f"{in_progress} paragraphs are in progress")
        if settings.sheds_late and deadline < math.inf:
            needed = self._wait_seconds(lane) + self._seconds(min(work.tokens, settings.batch_tokens or work.tokens))
            if self._clock() + needed > deadline:
                late = self._clock() + needed - deadline
                pushback = round(1000 * min(max(late, 0.05), 10.0))
                raise CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"the answer needs {needed:.2g} s", pushback)

    def _refuse(self, reason: str) -> None:
        pushback = self._settings.pushback_ms
        if pushback is None:
            wait = max(map(self._wait_seconds, Lane))
            pushback = round(1000 * min(max(wait / 2, 0.05), 10.0))
        raise CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, reason, pushback)

    def _wait_seconds(self, lane: Lane) -> float:
        """Forecast of the time until a new call of the lane is started."""
        settings, online = self._settings, self._queued_tokens[Lane.ONLINE]
        if lane is Lane.BATCH:
            tokens = online + self._queued_tokens[Lane.BATCH]
        else:
            tokens = online / (1 - settings.batch_lane_share if self._queues[Lane.BATCH] else 1.0)
        full = settings.batch_tokens or max(1.0, tokens)
        work = tokens / full * self._seconds(full)
        now = self._clock()
        if len(self._batches) < settings.slots:
            return work / settings.slots
        return max(min(batch.ends_at for batch in self._batches) - now, 0.0) + work / settings.slots

    def _seconds(self, tokens: float) -> float:
        return self._settings.service_time.seconds(tokens) * self.slowdown

    def _fill_slots(self) -> None:
        while len(self._batches) < self._settings.slots and not self._hung:
            lane = self._share.next_lane(online=bool(self._queues[Lane.ONLINE]), batch=bool(self._queues[Lane.BATCH]))
            if lane is None:
                break
            parts, tokens = self._take(lane)
            if parts:
                self._share.charge(lane, tokens, batch_waits=bool(self._queues[Lane.BATCH]))
                self._start(parts, tokens)

    def _take(self, lane: Lane) -> tuple[list[tuple[_Call, int]], float]:
        """Paragraphs of the next batch of a lane, and its padded tokens.

        Starts with the first call, and adds calls of the nearest lengths while the padding costs
        less than another call.
        """
        queue = self._queues[lane]
        for call in [call for call in queue if call.done.done() or self._is_late(call)]:
            queue.remove(call)
            self._leave_queue(call, call.waiting)
        if not queue:
            return [], 0.0
        room, first = self._budget(lane), queue[0]
        length = first.tokens_per_paragraph
        # A paragraph that exceeds the budget is sent alone.
        rows = first.waiting if room is None else min(first.waiting, max(1, int(room / length + 1e-9)))
        parts = [(first, rows)]
        if room is not None:
            padding_left = min(self._overhead_tokens, MAX_PADDING_SHARE * (self._settings.batch_tokens or 0))
            for call in sorted(list(queue)[1:], key=lambda call: abs(call.tokens_per_paragraph - length)):
                if room < length * (rows + 1):
                    break
                longest = max(length, call.tokens_per_paragraph)
                growth, per_row = (longest - length) * rows, longest - call.tokens_per_paragraph
                count = min(call.waiting, int(room / longest + 1e-9) - rows)
                if per_row:
                    count = min(count, int((padding_left - growth) / per_row + 1e-9))
                if growth <= padding_left and count > 0:
                    parts.append((call, count))
                    length, rows, padding_left = longest, rows + count, padding_left - growth - per_row * count
        for call, count in parts:
            self._leave_queue(call, count)
            if not call.waiting:
                queue.remove(call)
        return parts, rows * length

    @property
    def _overhead_tokens(self) -> float:
        """Fixed cost of a call, in tokens."""
        time = self._settings.service_time
        return time.seconds_per_call / time.seconds_per_token if time.seconds_per_token else math.inf

    def _budget(self, lane: Lane) -> float | None:
        """Maximum tokens of the next batch. None takes one call."""
        budget = self._settings.batch_tokens
        if budget is None:
            return None
        overhead = self._overhead_tokens
        limit = float(budget)
        if lane is Lane.BATCH and self._share.is_online_active:
            # The next reader waits for a call to end, so the calls of jobs are short.
            limit = min(limit, overhead * SHORT_EFFICIENCY / (1 - SHORT_EFFICIENCY) + 1)
        free = self._settings.slots - len(self._batches)
        if free > 1:
            limit = min(limit, max(self._queued_tokens[lane] / free, overhead))
        return limit

    def _is_late(self, call: _Call) -> bool:
        """Fail a call whose next paragraph cannot be computed before the deadline."""
        if not self._settings.sheds_late or call.deadline == math.inf:
            return False
        if self._clock() + self._seconds(call.tokens_per_paragraph) <= call.deadline:
            return False
        call.done.set_exception(CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, "the deadline cannot be met", 50))
        return True

    def _leave_queue(self, call: _Call, count: int) -> None:
        call.waiting -= count
        self._queued_tokens[call.lane] -= count * call.tokens_per_paragraph

    def _start(self, parts: list[tuple[_Call, int]], tokens: float) -> None:
        now, seconds = self._clock(), self._seconds(tokens)
        batch = _Batch(parts, tokens, now, now + seconds)
        batch.timer = asyncio.get_running_loop().call_later(seconds, self._finish, batch)
        self._batches.append(batch)

    def _finish(self, batch: _Batch) -> None:
        self._batches.remove(batch)
        self._busy_seconds += self._clock() - batch.started_at
        self.served_tokens += batch.tokens
        self._fill_slots()
        for call, count in batch.parts:
            call.unanswered -= count
            if not call.unanswered and not call.done.done():
                call.done.set_result(None)
        if not self._in_flight and not self._batches:
            self._idle.set()
