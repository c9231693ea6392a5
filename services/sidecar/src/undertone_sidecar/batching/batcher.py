"""The thin layer around the schedule: futures, tasks, the clock and the model server."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass

import grpc

from undertone_sidecar.backend import Backend, Batch, Scores
from undertone_sidecar.batching.admission import Refusal
from undertone_sidecar.batching.assembly import assemble
from undertone_sidecar.batching.bounds import Bounds
from undertone_sidecar.batching.item import Encoded, Scored
from undertone_sidecar.batching.schedule import Call, Schedule
from undertone_sidecar.errors import DeadlineError, ModelServerError, OverloadedError, SidecarError, UnavailableError, status_of
from undertone_sidecar.events import BatchAnswered, BatchSent, Listener, WorkDropped, WorkShed, ignore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    item: Encoded
    answer: asyncio.Future[Scored]
    since: float


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    rows: Sequence[_Waiting]
    padded_tokens: int
    sent: float


class MicroBatcher:
    """Sends batches to the model server, as many at once as there are slots. See Schedule for which.

    A batch is made at the moment a slot is free for it: nobody waits for company, and everybody who came in the meantime rides
    along. Where more than a full call waits, the next batch is chosen and assembled while one runs. Cancelled and expired
    sequences never reach the model server.
    """

    def __init__(
        self,
        backend: Backend,
        bounds: Bounds,
        *,
        call_seconds: float,
        margin_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        listener: Listener = ignore,
    ) -> None:
        """A call may take `call_seconds`, or until `margin_seconds` before its rows' latest deadline if that is earlier."""
        self._backend = backend
        self._call_seconds = call_seconds
        self._margin_seconds = margin_seconds
        self._clock = clock
        self._listener = listener
        self._schedule = Schedule[_Waiting](bounds)
        self._prepared: tuple[Call[_Waiting], Batch] | None = None
        self._slots = bounds.slots
        self._running: list[_Running] = []
        self._calls: dict[asyncio.Task[None], _Running] = {}
        self._waking = False
        self._swept = False
        self._closed = False

    def submit(self, items: Sequence[Encoded]) -> list[asyncio.Future[Scored]]:
        if self._closed:
            raise UnavailableError("the sidecar is shutting down; another one will answer")
        now = self._clock()
        self._admit(items, now)
        loop = asyncio.get_running_loop()
        answers = []
        for item in items:
            answer: asyncio.Future[Scored] = loop.create_future()
            waiting = _Waiting(item, answer, now)
            self._schedule.join(waiting, lane=item.lane, length=item.padded_length, version=item.version)
            answers.append(answer)
        if not self._waking:
            # Not at once: whoever comes in the same moment, as the rest of a request does, rides along.
            self._waking = True
            loop.call_soon(self._wake)
        return answers

    async def close(self) -> None:
        """Refuses what comes and fails what waits or runs with UnavailableError."""
        self._closed = True
        calls = dict(self._calls)
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        for waiting in (*(row for call in calls.values() for row in call.rows), *self._schedule.all()):
            if not waiting.answer.done():
                waiting.answer.set_exception(UnavailableError("the sidecar is shutting down; another one will answer"))
        self._schedule.forget(lambda _: False)

    def _admit(self, items: Sequence[Encoded], now: float) -> None:
        lane, remaining = items[0].lane, items[0].deadline - self._margin_seconds - now
        tokens = sum(item.padded_length for item in items)

        def check() -> Refusal | None:
            return self._schedule.refusal(lane, tokens, running=self._running_seconds, remaining=remaining)

        refusal = check()
        if refusal and not self._swept:
            # Nobody is refused for the sake of those who have left; a look at everybody for each batch sent must do.
            self._swept = True
            self._schedule.forget(self._keeps)
            refusal = check()
        if refusal:
            self._listener(WorkShed(lane.value, refusal.reason.value, len(items), tokens))
            raise OverloadedError(str(refusal), retry_after=refusal.retry_after)

    def _running_seconds(self) -> float:
        """Until the first slot is free, if the calls that run take as long as calls do."""
        return 0.0 if self._has_room else self._ends()[0]

    def _ends_after_the_first(self) -> list[float]:
        """Of the calls that run beside the one that takes the place of the first that ends, when it does."""
        first, *others = self._ends()
        return [end - first for end in others]

    def _ends(self) -> list[float]:
        """Seconds until each of the calls that run should end, ascending."""
        now, cost = self._clock(), self._schedule.cost
        return sorted(max(0.0, call.sent + cost.seconds(call.padded_tokens) - now) for call in self._running)

    @property
    def _has_room(self) -> bool:
        return len(self._running) < self._slots and not self._closed

    def _wake(self) -> None:
        self._waking = False
        if self._has_room:
            self._fill()
        else:
            self._prepare()

    def _fill(self) -> None:
        """Sends batches while a slot is free."""
        while self._has_room:
            prefetched = self._take_prepared()
            call = prefetched[0] if prefetched else self._chosen()
            if call is None:
                return
            self._schedule.start(call)
            self._send(call, prefetched[1] if prefetched else _assembled(call), prefetched=prefetched is not None)

    def _chosen(self) -> Call[_Waiting] | None:
        """For one of the free slots."""
        return self._schedule.next(self._keeps, free=self._slots - len(self._running), ends=self._ends)

    def _send(self, call: Call[_Waiting], batch: Batch, *, prefetched: bool) -> None:
        rows = [entry.payload for entry in call.choice.rows]
        running = _Running(rows, call.choice.padded_tokens, self._clock())
        # An empty one: this may be the context of one of the callers, or of the batch before.
        context = Context()
        context.run(
            self._listener,
            BatchSent(
                items=len(rows),
                tokens=sum(len(row.item.ids) for row in rows),
                padded_tokens=running.padded_tokens,
                queue_seconds=tuple(running.sent - row.since for row in rows),
                lane=call.lane.value,
                prefetched=prefetched,
                version=batch.version,
                origins=_origins(rows),
            ),
        )
        latest = max(row.item.deadline for row in rows)
        timeout = min(self._call_seconds, latest - self._margin_seconds - running.sent)
        self._swept = False
        self._running.append(running)
        task = asyncio.create_task(self._run(running, batch, timeout), name="predict", context=context)
        self._calls[task] = running
        task.add_done_callback(lambda done: self._calls.pop(done, None))

    async def _run(self, call: _Running, batch: Batch, seconds: float) -> None:
        outcome = await self._predict(batch, seconds)
        took = self._clock() - call.sent
        code = status_of(outcome).code if isinstance(outcome, Exception) else grpc.StatusCode.OK
        if not isinstance(outcome, Exception):
            self._schedule.cost.observe(call.padded_tokens, took)
        self._running.remove(call)
        try:
            self._listener(BatchAnswered(code.name, took))
            self._fill()
            # Lets the next request leave before the callers of the last one wake up and keep the loop busy.
            await asyncio.sleep(0)
        finally:
            _settle(call, outcome, took)
        self._prepare()

    async def _predict(self, batch: Batch, seconds: float) -> Scores | Exception:
        """The scores, or what prevented them: every row of the batch gets the same."""
        try:
            return await self._backend.predict(batch, timeout=seconds)
        except SidecarError as error:
            if isinstance(error, ModelServerError):
                log.error("batch failed", extra={"shape": batch.input_ids.shape, "reason": str(error)})
            return error
        except Exception as error:
            log.exception("batch failed", extra={"shape": batch.input_ids.shape})
            return error

    def _prepare(self) -> None:
        """Has the next batch ready for when the running one ends, if waiting for newcomers would not make it a better one."""
        if self._prepared or self._has_room or self._closed or not self._schedule.is_full_call_waiting():
            return
        call = self._schedule.next(self._keeps, ends=self._ends_after_the_first)
        if call:
            self._prepared = call, _assembled(call)

    def _take_prepared(self) -> tuple[Call[_Waiting], Batch] | None:
        """What was prepared, if it is still right: all of its rows wanted, and its lane's turn."""
        prepared, self._prepared = self._prepared, None
        if prepared and self._schedule.is_still_right(prepared[0]):
            now = self._clock()
            if all(self._is_wanted(entry.payload, now) for entry in prepared[0].choice.rows):
                return prepared
        return None

    def _is_wanted(self, waiting: _Waiting, now: float) -> bool:
        return not waiting.answer.done() and waiting.item.deadline - self._margin_seconds > now

    def _keeps(self, waiting: _Waiting) -> bool:
        """Whether it is wanted; tells its caller, and whoever listens, if it came too late."""
        now = self._clock()
        if self._is_wanted(waiting, now):
            return True
        late = not waiting.answer.done()
        if late:
            waiting.answer.set_exception(
                DeadlineError("the deadline passed while the paragraph was waiting for the model server")
            )
        item, reason = waiting.item, "expired" if late else "cancelled"
        self._listener(WorkDropped(item.lane.value, reason, now - waiting.since, item.origin))
        return False


def _origins(rows: Sequence[_Waiting]) -> tuple[object | None, ...]:
    origins = tuple(row.item.origin for row in rows)
    return origins if any(origin is not None for origin in origins) else ()


def _assembled(call: Call[_Waiting]) -> Batch:
    return assemble([entry.payload.item for entry in call.choice.rows], call.choice.length)


def _settle(call: _Running, outcome: Scores | Exception, seconds: float) -> None:
    for index, row in enumerate(call.rows):
        if row.answer.done():
            continue
        if isinstance(outcome, Exception):
            row.answer.set_exception(outcome)
        else:
            row.answer.set_result(Scored(outcome[index], call.sent - row.since, seconds))
