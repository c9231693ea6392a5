"""Runs the schedule: futures, tasks, the clock, and Predict calls."""

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Final

import grpc

from undertone_sidecar.activity import Activity
from undertone_sidecar.backend import Backend, Batch, Scores
from undertone_sidecar.batching.admission import BatchLimits, Refusal
from undertone_sidecar.batching.request import Lane, Request, Scored
from undertone_sidecar.batching.schedule import Schedule
from undertone_sidecar.batching.selection import BatchSelection, pad_batch
from undertone_sidecar.errors import (
    SHUTTING_DOWN,
    DeadlineError,
    ModelServerError,
    ModelServerLostError,
    OverloadedError,
    SidecarError,
    UnavailableError,
    status_of,
)
from undertone_sidecar.events import BatchAnswered, BatchSent, Listener, ParagraphShed, RequestDropped, ignore

_PUSHED_OUT: Final = (
    "the queue is full, and the paragraph was removed because this caller had the most tokens in it: "
    "retry later, or send fewer paragraphs at a time"
)

_PROBE_INTERVAL: Final = 3.0
"""Idle time after which the forecast refuses no request, as a multiple of the request's call. If
all requests were refused because of a wrong forecast, no call would correct it."""

_BUSY_SECONDS: Final = 0.05
"""Time for which a slot stays unused after the model server refused its call."""

_CALLS_PER_SLOT: Final = 100
"""Answered calls after which one of the slots that the model server refused is tried again."""

_SWEEP_SECONDS: Final = 1e-4
"""Minimum time between two searches of the queue for requests to drop, for each request in it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Prefetched:
    selection: BatchSelection
    batch: Batch


@dataclass(slots=True, eq=False)
class _PredictCall:
    """A Predict call in flight. It is overdue when it exceeds the maximum duration of a call."""

    requests: Sequence[Request]
    padded_tokens: int
    sent_at: float
    is_overdue: bool = False


class MicroBatcher:
    """Sends batches to the model server, at most one for each slot at a time.

    Schedule selects the requests of a batch.

    A batch is formed when a slot becomes free, without waiting for more requests. It takes all
    requests that arrived in the meantime. If more than a full batch is queued, the next batch is
    selected and padded during the current call. Requests that are cancelled, or whose deadline
    would pass before their call ends, are never sent.

    A slot is free when its Predict call has ended. The deadlines of requests do not end a call,
    because TF Serving computes an abandoned call to its end.
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
        self._margin_seconds = margin_seconds
        self._clock = clock
        self._listener = listener
        self._schedule = Schedule(limits)
        self._prefetched: _Prefetched | None = None
        self._activity = activity or Activity()
        self._jitter = jitter
        self._slots = self._max_slots = limits.slots
        self._calls_until_slot = 0
        self._last_end = -math.inf
        self._calls: list[_PredictCall] = []
        self._tasks: dict[asyncio.Task[None], _PredictCall] = {}
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
        first, tokens = requests[0], sum(request.padded_length for request in requests)
        self._admit(first.lane, first.caller, tokens, first.deadline, items=len(requests), now=now)
        loop = asyncio.get_running_loop()
        results = []
        for request in requests:
            request.result = loop.create_future()
            request.enqueued_at = now
            results.append(request.result)
        for request in self._schedule.add(requests):
            self._push_out(request, now)
        if not self._wake_scheduled:
            # Later in this iteration of the event loop, so that requests that arrive together share
            # a batch.
            self._wake_scheduled = True
            loop.call_soon(self._wake)
        return results

    def check(self, lane: Lane, caller: str, tokens: int, deadline: float) -> None:
        """Raises OverloadedError if a request with `tokens` padded tokens would be refused."""
        self._admit(lane, caller, tokens, deadline, items=0, now=self._clock())

    async def close(self) -> None:
        """Refuses new requests, and fails all others with UnavailableError."""
        self._closed = True
        tasks = dict(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for request in (*(request for call in tasks.values() for request in call.requests), *self._schedule.requests()):
            if not request.result.done():
                request.result.set_exception(UnavailableError(SHUTTING_DOWN))
        self._schedule.remove_unwanted(lambda _: False)

    def _admit(self, lane: Lane, caller: str, tokens: int, deadline: float, *, items: int, now: float) -> None:
        remaining = deadline - self._margin_seconds - now
        if self._is_probe(tokens, now):
            remaining = math.inf

        def check() -> Refusal | None:
            return self._schedule.refusal(lane, caller, tokens, slots=self._slot_seconds, remaining=remaining)

        refusal = check()
        if refusal and now >= self._next_sweep:
            # Cancelled and expired requests must not cause a refusal, nor requests that will be too
            # late when a slot is free. The interval bounds the CPU time of this search.
            self._schedule.remove_unwanted(partial(self._keep_or_drop, start=now + min(self._slot_seconds())))
            self._next_sweep = now + _SWEEP_SECONDS * len(self._schedule)
            refusal = check()
        if refusal:
            self._listener(ParagraphShed(lane.value, refusal.reason.value, items, tokens))
            raise OverloadedError(str(refusal), retry_after=refusal.retry_after * (1 + self._jitter()))

    def _push_out(self, request: Request, now: float) -> None:
        """Fails a request that was removed from a full queue."""
        if not request.result.done():
            request.result.set_exception(OverloadedError(_PUSHED_OUT))
        self._listener(RequestDropped(request.lane.value, "pushed_out", now - request.enqueued_at, request.span))

    def _is_probe(self, tokens: int, now: float) -> bool:
        """Whether a request must correct the forecast: the model server has been idle for long."""
        return not self._calls and now - self._last_end > _PROBE_INTERVAL * self._schedule.cost.seconds(tokens)

    def _slot_seconds(self) -> list[float]:
        """Estimated seconds until each slot is free."""
        return [0.0] * (self._slots - len(self._calls)) + self._remaining_seconds()

    def _remaining_after_next_completion(self) -> list[float]:
        """Remaining seconds of the other calls once the earliest has finished."""
        first, *others = self._remaining_seconds()
        return [end - first for end in others]

    def _remaining_seconds(self) -> list[float]:
        """Estimated remaining seconds of each call in flight, ascending."""
        now, cost = self._clock(), self._schedule.cost
        return sorted(cost.remaining_seconds(call.padded_tokens, now - call.sent_at) for call in self._calls)

    @property
    def _has_free_slot(self) -> bool:
        return len(self._calls) < self._slots and not self._closed

    def _wake(self) -> None:
        self._wake_scheduled = False
        if self._has_free_slot:
            self._fill_slots()
        else:
            self._prefetch()

    def _fill_slots(self) -> None:
        """Sends batches until no slot is free or the queue is empty."""
        while self._has_free_slot:
            if prefetched := self._take_prefetched():
                selection, batch = prefetched.selection, prefetched.batch
            elif selected := self._next_batch():
                selection, batch = selected, pad_batch(selected)
            else:
                return
            self._schedule.start(selection)
            self._send(selection, batch, prefetched=prefetched is not None)

    def _next_batch(self) -> BatchSelection | None:
        """Selects a batch for one of the free slots."""
        return self._schedule.next_batch(
            self._keep_or_drop,
            free_slots=self._slots - len(self._calls),
            remaining_seconds=self._remaining_seconds,
            token_limit=partial(self._token_limit, start=self._clock()),
        )

    def _send(self, selection: BatchSelection, batch: Batch, *, prefetched: bool) -> None:
        requests = selection.requests
        call = _PredictCall(requests, selection.padded_tokens, self._clock())
        # An empty context: the current one may belong to a caller, or to the previous batch.
        context = Context()
        context.run(
            self._listener,
            BatchSent(
                items=len(requests),
                tokens=sum(len(request.token_ids) for request in requests),
                padded_tokens=call.padded_tokens,
                queue_seconds=tuple(call.sent_at - request.enqueued_at for request in requests),
                lane=selection.lane.value,
                prefetched=prefetched,
                version=batch.version,
                spans=_spans(requests),
            ),
        )
        self._next_sweep = -math.inf
        self._calls.append(call)
        task = asyncio.create_task(self._run(call, batch), name="predict", context=context)
        self._tasks[task] = call
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _run(self, call: _PredictCall, batch: Batch) -> None:
        watchdog = asyncio.get_running_loop().call_later(self._call_seconds, self._on_overdue, call)
        try:
            outcome = await self._predict(batch)
        finally:
            watchdog.cancel()
        self._last_end = self._clock()
        seconds = self._last_end - call.sent_at
        if isinstance(outcome, OverloadedError):
            await self._on_refused(call, outcome)
        self._activity.completed += not isinstance(outcome, ModelServerLostError)
        self._activity.overdue -= call.is_overdue
        code = status_of(outcome).code if isinstance(outcome, Exception) else grpc.StatusCode.OK
        if not isinstance(outcome, Exception):
            self._schedule.cost.observe(call.padded_tokens, seconds)
            self._try_more_slots()
        self._calls.remove(call)
        try:
            self._listener(BatchAnswered(code.name, seconds))
            self._fill_slots()
            # Sends the next batch before the callers of this one wake up and keep the event loop
            # busy.
            await asyncio.sleep(0)
        finally:
            _set_results(call, outcome, seconds)
        self._prefetch()

    async def _predict(self, batch: Batch) -> Scores | Exception:
        """Returns the scores, or the error that every request of the batch gets."""
        try:
            return await self._backend.predict(batch, timeout=None)
        except SidecarError as error:
            if isinstance(error, ModelServerError):
                log.error("batch failed", extra={"shape": batch.input_ids.shape, "reason": str(error)})
            return error
        except Exception as error:
            log.exception("batch failed", extra={"shape": batch.input_ids.shape})
            return error

    def _try_more_slots(self) -> None:
        self._calls_until_slot -= 1
        if self._slots < self._max_slots and self._calls_until_slot <= 0:
            self._slots += 1
            self._calls_until_slot = _CALLS_PER_SLOT

    async def _on_refused(self, call: _PredictCall, error: OverloadedError) -> None:
        """Uses fewer slots after the model server refused a call, because its threads were busy."""
        slots = max(1, len(self._calls) - 1)
        if slots < self._slots:
            log.warning(
                "the model server refused a call: fewer calls run at once; start it with --grpc_max_threads of at least %d",
                self._max_slots + 2,
                extra={"model_calls": slots},
            )
        self._slots = min(self._slots, slots)
        self._calls_until_slot = _CALLS_PER_SLOT
        _set_results(call, error, 0.0)
        await asyncio.sleep(_BUSY_SECONDS)

    def _on_overdue(self, call: _PredictCall) -> None:
        """Answers the callers of a call that exceeds its maximum duration."""
        call.is_overdue = True
        self._activity.overdue += 1
        error = ModelServerLostError(f"the model server has not finished a call in {self._call_seconds:g} s: retry later")
        log.error("the model server is stuck", extra={"tokens": call.padded_tokens, "seconds": self._call_seconds})
        requests = list(call.requests)
        if all(call.is_overdue for call in self._calls) and not self._has_free_slot:
            requests += self._schedule.requests()
        for request in requests:
            if not request.result.done():
                request.result.set_exception(error)

    def _prefetch(self) -> None:
        """Prepares the next batch while all slots are busy, if a full batch is queued."""
        if self._prefetched or self._has_free_slot or self._closed or not self._schedule.has_full_batch():
            return
        selection = self._schedule.next_batch(
            self._keep_or_drop,
            remaining_seconds=self._remaining_after_next_completion,
            token_limit=partial(self._token_limit, start=self._clock() + self._remaining_seconds()[0]),
        )
        if selection:
            self._prefetched = _Prefetched(selection, pad_batch(selection))

    def _take_prefetched(self) -> _Prefetched | None:
        """The prefetched batch, if its lane is still next and all its requests are wanted."""
        prefetched, self._prefetched = self._prefetched, None
        if prefetched and self._schedule.is_current(prefetched.selection):
            now, selection = self._clock(), prefetched.selection
            if all(
                self._reason_to_drop(request, now, now) is None
                and selection.padded_tokens <= self._token_limit(request, start=now)
                for request in selection.requests
            ):
                return prefetched
        return None

    def _token_limit(self, request: Request, *, start: float) -> float:
        """Maximum padded tokens of a batch that starts at `start` and ends before the deadline.

        At least the request's own length.
        """
        if request.deadline == math.inf:
            return math.inf
        remaining = request.deadline - self._margin_seconds - start
        return max(request.padded_length, self._schedule.cost.tokens_within(remaining, cautious=True))

    def _reason_to_drop(self, request: Request, now: float, start: float) -> str | None:
        """Why the request must not be sent at `start`. None if it may be sent."""
        if request.deadline - self._margin_seconds <= now:
            return "expired"
        if request.result.done():
            return "cancelled"
        cost, tokens = self._schedule.cost, request.padded_length
        remaining = request.deadline - self._margin_seconds - start
        if cost.is_reliable and cost.cautious_seconds(tokens) > remaining and not self._is_probe(tokens, now):
            return "late"
        return None

    def _keep_or_drop(self, request: Request, *, start: float = -math.inf) -> bool:
        """Whether the request may be sent at `start`, or now if that is later.

        If not, reports the request, and fails it if it has no result.
        """
        now = self._clock()
        reason = self._reason_to_drop(request, now, max(now, start))
        if reason is None:
            return True
        if not request.result.done():
            request.result.set_exception(self._drop_error(request, reason, now))
        self._listener(RequestDropped(request.lane.value, reason, now - request.enqueued_at, request.span))
        return False

    def _drop_error(self, request: Request, reason: str, now: float) -> SidecarError:
        if reason == "expired":
            return DeadlineError("the deadline passed while the paragraph waited for the model server: set a longer deadline")
        needed = self._schedule.cost.cautious_seconds(request.padded_length)
        return OverloadedError(
            f"the answer needs about {needed:.2g} s, but the deadline is in {request.deadline - now:.2g} s: "
            "retry later, or set a longer deadline",
            retry_after=needed * (1 + self._jitter()),
        )


def _spans(requests: Sequence[Request]) -> tuple[object | None, ...]:
    spans = tuple(request.span for request in requests)
    return spans if any(span is not None for span in spans) else ()


def _set_results(call: _PredictCall, outcome: Scores | Exception, seconds: float) -> None:
    for row, request in enumerate(call.requests):
        if request.result.done():
            continue
        if isinstance(outcome, Exception):
            request.result.set_exception(outcome)
        else:
            request.result.set_result(Scored(outcome[row], call.sent_at - request.enqueued_at, seconds))
