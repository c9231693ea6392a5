"""Runs the schedule: futures, tasks, the clock, and Predict calls."""

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Final

import grpc

from undertone_sidecar.activity import Activity
from undertone_sidecar.backend import Backend, Scores
from undertone_sidecar.batching.admission import BatchLimits, Refusal
from undertone_sidecar.batching.deadlines import Deadlines
from undertone_sidecar.batching.dropping import Dropping
from undertone_sidecar.batching.predict_call import PredictCall, PreparedBatch, fail
from undertone_sidecar.batching.request import Lane, Request, Scored
from undertone_sidecar.batching.schedule import Schedule
from undertone_sidecar.batching.selection import pad_batch
from undertone_sidecar.batching.slots import Slots
from undertone_sidecar.errors import SHUTTING_DOWN, ModelServerLostError, OverloadedError, UnavailableError, status_of
from undertone_sidecar.events import BatchAnswered, Listener, ParagraphShed, RequestDropped, ignore

_PUSHED_OUT: Final = (
    "the queue is full, and the paragraph was removed because this caller had the most tokens in it: "
    "retry later, or send fewer paragraphs at a time"
)

_BUSY_SECONDS: Final = 0.05
"""Time for which a slot stays unused after the model server refused its call."""

_MIN_HOLD_SECONDS: Final = 1e-3
"""Minimum time until an empty slot is considered again."""

_SWEEP_SECONDS: Final = 1e-3
"""Minimum time between two searches of the queue for requests to drop, for each request in it. A
search visits every request, so a long queue is searched less often."""

log = logging.getLogger(__name__)


class MicroBatcher:
    """Sends batches to the model server, at most one for each slot at a time.

    Schedule selects the requests of a batch.

    A batch is formed when a slot becomes free, without waiting for more requests. It takes all
    requests that arrived in the meantime. If more than a full batch is queued, the next batch is
    selected and padded during the current call. Requests that are cancelled, or whose deadline
    would pass before their call ends, are never sent.

    A slot is free when its Predict call has ended. The deadlines of requests do not end a call,
    because TF Serving computes an abandoned call to its end.

    Calls at once take longer than a call alone. A request whose deadline allows only a call that is
    alone is sent alone, if no other queued request can be sent. A free slot then stays empty until
    that call ends.

    An error of the batcher itself is logged. It fails the requests of a batch, or all requests in
    the queue, and the batcher goes on: no request waits forever, and no slot is lost.
    """

    def __init__(
        self,
        backend: Backend,
        limits: BatchLimits,
        *,
        call_seconds: float,
        margin_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        listener: Listener = ignore,
        activity: Activity | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Creates an idle batcher.

        Args:
            backend: The model server.
            limits: Sizes of batches and queues.
            call_seconds: Maximum duration of a Predict call. The requests of a longer call fail
                with ModelServerLostError. The call keeps its slot, because it is still computed,
                until it ends or the connection is lost.
            margin_seconds: Time before the deadline of a request at which its call must end.
            clock: Time in seconds. The deadlines of requests refer to it.
            listener: Receives events.
            activity: Counts Predict calls.
            jitter: Returns random numbers from 0 to 1, which spread the retries of callers.
        """
        self._backend = backend
        self._call_seconds = call_seconds
        self._clock = clock
        self._listener = listener
        self._schedule = Schedule(limits)
        self._deadlines = Deadlines(self._schedule.cost, margin_seconds)
        self._prefetched: PreparedBatch | None = None
        self._activity = activity or Activity()
        self._jitter = jitter
        self._slots = Slots(limits.slots, self._schedule.cost, margin_seconds)
        self._dropping = Dropping(self._deadlines, self._slots, clock=clock, listener=listener, jitter=jitter)
        self._hold: asyncio.TimerHandle | None = None
        self._tasks: dict[asyncio.Task[None], PredictCall] = {}
        self._wake_scheduled = False
        self._next_sweep = -math.inf
        self._closed = False

    def submit(self, requests: Sequence[Request]) -> list[asyncio.Future[Scored]]:
        """Accepts all requests or none. They belong to one paragraph and share lane and deadline.

        Every accepted request gets exactly one result. Cancelling a result withdraws its request. A
        result fails with DeadlineError, with UnavailableError, or with an error of Backend.predict.

        Raises:
            OverloadedError: The queue is full, or the deadline cannot be met.
            UnavailableError: The sidecar is shutting down.
        """
        if self._closed:
            raise UnavailableError(SHUTTING_DOWN)
        now = self._clock()
        first, costs = requests[0], [request.cost for request in requests]
        self._admit(first.lane, first.caller, sum(costs), max(costs), first.deadline, items=len(requests), now=now)
        loop = asyncio.get_running_loop()
        results = []
        for request in requests:
            request.result = loop.create_future()
            request.enqueued_at = now
            results.append(request.result)
        if not self._wake_scheduled:
            # Later in this iteration of the event loop, so that requests that arrive together share
            # a batch.
            self._wake_scheduled = True
            loop.call_soon(self._wake)
        for request in self._schedule.add(requests):
            self._push_out(request, now)
        return results

    def check(self, lane: Lane, caller: str, costs: Sequence[int], deadline: float) -> None:
        """Raises OverloadedError if requests of a paragraph with these costs would be refused."""
        self._admit(lane, caller, sum(costs), max(costs), deadline, items=0, now=self._clock())

    async def close(self) -> None:
        """Refuses new requests, and fails all others with UnavailableError."""
        self._closed = True
        self._end_hold()
        tasks = dict(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        error = UnavailableError(SHUTTING_DOWN)
        for call in tasks.values():
            fail(call.requests, error)
        fail(self._schedule.clear(), error)

    def _admit(self, lane: Lane, caller: str, tokens: int, longest: int, deadline: float, *, items: int, now: float) -> None:
        remaining = self._deadlines.remaining(deadline, now)
        if 0 < remaining < math.inf and self._deadlines.needs_probe(tokens, self._slots.idle_seconds(now)):
            remaining = math.inf

        def check() -> Refusal | None:
            return self._schedule.refusal(
                lane,
                caller,
                tokens,
                longest,
                slots=partial(self._slots.seconds_until_free, now),
                starts=partial(self._slots.starts, now),
                remaining=remaining,
            )

        refusal = check()
        if refusal and now >= self._next_sweep:
            # Cancelled and expired requests must not cause a refusal, nor requests that will be too
            # late. The interval bounds the CPU time of this search.
            self._schedule.remove_unwanted(self._dropping.keep_or_drop())
            self._next_sweep = now + _SWEEP_SECONDS * len(self._schedule)
            refusal = check()
        if refusal:
            self._listener(ParagraphShed(lane.value, refusal.reason.value, items, tokens))
            raise refusal.error(self._jitter())

    def _push_out(self, request: Request, now: float) -> None:
        """Fails a request that was removed from a full queue."""
        fail([request], OverloadedError(_PUSHED_OUT))
        self._listener(RequestDropped(request.lane.value, "pushed_out", now - request.enqueued_at, request.span))

    def _remaining_seconds(self) -> list[float]:
        return self._slots.remaining_seconds(self._clock())

    @property
    def _has_free_slot(self) -> bool:
        return bool(self._slots.free) and not self._closed

    def _wake(self) -> None:
        self._wake_scheduled = False
        self._fill_slots()
        self._prefetch()

    def _fill_slots(self) -> None:
        """Sends batches until no slot may be used or no queued request can be sent."""
        while self._has_free_slot:
            try:
                prepared = None if self._is_held() else self._take_prefetched() or self._next_batch()
            except Exception as error:
                self._fail_queue(error)
                return
            if prepared is None:
                return
            self._send(prepared)

    def _is_held(self) -> bool:
        """Whether a further call would break a deadline. If so, fills the slots again later."""
        self._end_hold()
        seconds = self._slots.hold_seconds(self._clock())
        if seconds and len(self._schedule):
            self._hold = asyncio.get_running_loop().call_later(max(seconds, _MIN_HOLD_SECONDS), self._wake)
        return seconds > 0

    def _end_hold(self) -> None:
        if self._hold:
            self._hold.cancel()
            self._hold = None

    def _fail_queue(self, error: Exception) -> None:
        """Fails all requests in the queue, because no batch could be selected from them."""
        log.error("the queue is emptied after an error", exc_info=error)
        self._prefetched = None
        fail(self._schedule.clear(), error)

    def _next_batch(self) -> PreparedBatch | None:
        """Selects a batch for one of the free slots.

        If no request could meet its deadline with calls in all slots, a request is sent that can
        meet it with fewer calls.
        """
        keep_or_drop = self._dropping.keep_or_drop()
        selection = self._schedule.next_batch(
            keep_or_drop,
            free_slots=self._slots.free,
            remaining_seconds=self._remaining_seconds,
            token_limit=self._token_limit(),
        )
        if selection is None and self._slots.free > 1:
            limit = self._token_limit(at_once=self._slots.in_flight + 1)
            selection = self._schedule.next_batch(keep_or_drop, remaining_seconds=self._remaining_seconds, token_limit=limit)
        return PreparedBatch(selection, pad_batch(selection), prefetched=False) if selection else None

    def _token_limit(self, start: float = 0.0, at_once: int = 0) -> Callable[[Request], float]:
        """The limits of a batch that starts in `start` seconds. By default, all slots are used."""
        now, at_once = self._clock(), at_once or self._slots.count
        confidence = self._slots.confidence(at_once, now)
        return partial(self._deadlines.token_limit, start=now + start, at_once=at_once, confidence=confidence)

    def _prefetch(self) -> None:
        """Prepares the next batch while all slots are busy, if a full batch is queued."""
        if self._prefetched or self._has_free_slot or self._closed:
            return
        try:
            if not self._schedule.has_full_batch():
                return
            selection = self._schedule.next_batch(
                self._dropping.keep_or_drop(),
                remaining_seconds=lambda: self._slots.remaining_after_next_end(self._clock()),
                token_limit=self._token_limit(self._remaining_seconds()[0]),
            )
            if selection:
                self._prefetched = PreparedBatch(selection, pad_batch(selection), prefetched=True)
        except Exception as error:
            self._fail_queue(error)

    def _take_prefetched(self) -> PreparedBatch | None:
        """The prefetched batch, if its lane is still next and all its requests are wanted."""
        prefetched, self._prefetched = self._prefetched, None
        if prefetched and self._schedule.is_current(prefetched.selection):
            requests, token_limit = prefetched.selection.requests, self._token_limit()
            if self._dropping.all_wanted(requests) and prefetched.selection.cost <= min(map(token_limit, requests)):
                return prefetched
        return None

    def _send(self, prepared: PreparedBatch) -> None:
        try:
            self._schedule.start(prepared.selection)
            call = PredictCall(prepared, self._clock())
            # An empty context: the current one may belong to a caller, or to the previous batch.
            context = Context()
            context.run(self._listener, call.sent_event())
        except Exception as error:
            log.exception("a batch could not be sent")
            fail(prepared.selection.requests, error)
            return
        self._next_sweep = -math.inf
        self._slots.start(call)
        task = asyncio.create_task(self._run(call), name="predict", context=context)
        self._tasks[task] = call
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _run(self, call: PredictCall) -> None:
        watchdog = asyncio.get_running_loop().call_later(self._call_seconds, self._on_overdue, call)
        try:
            outcome = await call.run(self._backend)
        finally:
            watchdog.cancel()
        seconds = 0.0
        try:
            seconds = self._clock() - call.sent_at
            if isinstance(outcome, OverloadedError):
                self._slots.on_refused()
                call.resolve(outcome, seconds)
                await asyncio.sleep(_BUSY_SECONDS)
            self._on_end(call, outcome, seconds)
        except Exception:
            log.exception("the end of a call could not be recorded")
        finally:
            self._slots.end(call, call.sent_at + seconds)
        try:
            self._fill_slots()
            # Sends the next batch before the callers of this one wake up and keep the event loop
            # busy.
            await asyncio.sleep(0)
        finally:
            call.resolve(outcome, seconds)
        self._prefetch()

    def _on_end(self, call: PredictCall, outcome: Scores | Exception, seconds: float) -> None:
        """Records the end of a call, which took `seconds`."""
        self._activity.completed += not isinstance(outcome, ModelServerLostError)
        self._activity.overdue -= call.is_overdue
        if isinstance(outcome, Exception):
            code = status_of(outcome).code
        else:
            code = grpc.StatusCode.OK
            at_once = self._slots.mean_calls(call, call.sent_at + seconds)
            self._schedule.cost.observe(call.cost, seconds, at_once)
            self._slots.on_answered()
        self._listener(BatchAnswered(code.name, seconds))

    def _on_overdue(self, call: PredictCall) -> None:
        """Answers the callers of a call that exceeds its maximum duration."""
        call.is_overdue = True
        self._activity.overdue += 1
        error = ModelServerLostError(f"the model server has not finished a call in {self._call_seconds:g} s: retry later")
        log.error("the model server is stuck", extra={"tokens": call.padded_tokens, "seconds": self._call_seconds})
        fail(call.requests, error)
        if self._slots.are_stuck:
            fail(self._schedule.requests(), error)
