"""Many callers' sequences into few Predict calls."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from undertone_sidecar.backend import Backend, Batch, Scores
from undertone_sidecar.chunks import Probabilities
from undertone_sidecar.errors import DeadlineError, ModelServerError, OverloadedError, SidecarError, UnavailableError
from undertone_sidecar.events import BatchSent, Listener, ignore
from undertone_sidecar.tokenizer import TokenIds

_PACE_WEIGHT: Final = 0.2
_SOONEST_SECONDS: Final = 0.05
_LATEST_SECONDS: Final = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One sequence, special tokens included, for one version of the model.

    `padded_length`, in tokens, is what it would be padded to if it were alone. `deadline` is a time of the batcher's clock, in
    seconds; infinity where there is none.
    """

    ids: TokenIds
    padded_length: int
    version: int
    deadline: float


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The answer to one sequence, and the seconds it waited for the model server and was computed by it."""

    probabilities: Probabilities
    queue_seconds: float
    predict_seconds: float


class Batcher(Protocol):
    """Scores sequences, each answered exactly once, together with whatever else is waiting."""

    def submit(self, item: Encoded) -> asyncio.Future[Scored]:
        """The answer to come. Cancelling it withdraws the sequence.

        Raises OverloadedError or UnavailableError at once; the future raises DeadlineError, or what Backend.predict raises.
        """


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    item: Encoded
    answer: asyncio.Future[Scored]
    since: float


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    rows: Sequence[_Waiting]
    sent: float
    task: asyncio.Task[Scores | Exception]


class TokenBudgetBatcher:
    """First come, first served, as many rows to a call as the budget of padded tokens allows.

    One call runs at a time, because two share the same cores and are slower than one after the other. A batch is made at the
    moment the model server is free for it: nobody waits for company, and everybody who came in the meantime rides along.
    Cancelled and expired sequences never reach the model server.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        budget: int,
        max_waiting: int,
        call_seconds: float,
        margin_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        listener: Listener = ignore,
    ) -> None:
        """`budget` is in padded tokens per call; a sequence that exceeds it goes alone. At most `max_waiting` sequences wait.

        A call may take `call_seconds`, or until `margin_seconds` before the latest deadline of its rows if that is earlier.
        """
        self._backend = backend
        self._budget = budget
        self._max_waiting = max_waiting
        self._call_seconds = call_seconds
        self._margin_seconds = margin_seconds
        self._clock = clock
        self._listener = listener
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._call: _Call | None = None
        self._seconds_per_token = 1e-4
        self._closed = False
        self._worker = asyncio.create_task(self._work(), name="batcher")

    def submit(self, item: Encoded) -> asyncio.Future[Scored]:
        if self._closed:
            raise UnavailableError("the sidecar is shutting down; another one will answer")
        if len(self._waiting) >= self._max_waiting:
            self._waiting = deque(waiting for waiting in self._waiting if self._is_wanted(waiting))
            if len(self._waiting) >= self._max_waiting:
                raise OverloadedError(
                    f"{len(self._waiting)} sequences are waiting and the limit is {self._max_waiting}: come back later",
                    retry_after=self._seconds_until_free(),
                )
        answer: asyncio.Future[Scored] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(item, answer, self._clock()))
        self._arrived.set()
        return answer

    async def close(self) -> None:
        """Refuses what comes and fails what waits or runs with UnavailableError."""
        self._closed = True
        self._worker.cancel()
        with suppress(asyncio.CancelledError):
            await self._worker
        running = self._call
        if running:
            running.task.cancel()
            await asyncio.wait([running.task])
        for waiting in (*(running.rows if running else ()), *self._waiting):
            if not waiting.answer.done():
                waiting.answer.set_exception(UnavailableError("the sidecar is shutting down; another one will answer"))
        self._waiting.clear()

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            self._call = self._start_call()
            while call := self._call:
                # Shielded, so that close() and not this cancellation decides what becomes of the call.
                outcome = await asyncio.shield(call.task)
                finished = self._clock()
                self._call = self._start_call()
                try:
                    if self._call:
                        # Lets the next request leave before the callers of the last one wake up and keep the loop busy.
                        await asyncio.sleep(0)
                finally:
                    self._settle(call, outcome, finished - call.sent)
            self._arrived.clear()

    def _start_call(self) -> _Call | None:
        rows = self._take()
        if not rows:
            return None
        now = self._clock()
        length = max(row.item.padded_length for row in rows)
        tokens = sum(len(row.item.ids) for row in rows)
        self._listener(BatchSent(len(rows), tokens, len(rows) * length, tuple(now - row.since for row in rows)))
        timeout = min(self._call_seconds, max(row.item.deadline for row in rows) - self._margin_seconds - now)
        return _Call(rows, now, asyncio.create_task(self._predict([row.item for row in rows], length, timeout), name="predict"))

    def _take(self) -> list[_Waiting]:
        """Removes the next batch from the queue, and whatever nobody wants any more before it."""
        rows: list[_Waiting] = []
        length = 0
        while self._waiting:
            head = self._waiting[0]
            if self._is_wanted(head):
                longer = max(length, head.item.padded_length)
                if rows and (longer * (len(rows) + 1) > self._budget or head.item.version != rows[0].item.version):
                    break
                length = longer
                rows.append(head)
            self._waiting.popleft()
        return rows

    def _is_wanted(self, waiting: _Waiting) -> bool:
        if waiting.answer.done():
            return False
        if waiting.item.deadline - self._margin_seconds > self._clock():
            return True
        waiting.answer.set_exception(DeadlineError("the deadline passed while the paragraph was waiting for the model server"))
        return False

    async def _predict(self, items: Sequence[Encoded], length: int, seconds: float) -> Scores | Exception:
        """The scores, or what prevented them: every row of the batch gets the same."""
        try:
            return await self._backend.predict(assemble(items, length), timeout=seconds)
        except SidecarError as error:
            if isinstance(error, ModelServerError):
                log.error("batch failed", extra={"rows": len(items), "length": length, "reason": str(error)})
            return error
        except Exception as error:
            log.exception("batch failed", extra={"rows": len(items), "length": length})
            return error

    def _settle(self, call: _Call, outcome: Scores | Exception, seconds: float) -> None:
        if not isinstance(outcome, Exception):
            pace = seconds / sum(len(row.item.ids) for row in call.rows)
            self._seconds_per_token += _PACE_WEIGHT * (pace - self._seconds_per_token)
        for index, row in enumerate(call.rows):
            if row.answer.done():
                continue
            if isinstance(outcome, Exception):
                row.answer.set_exception(outcome)
            else:
                row.answer.set_result(Scored(outcome[index], call.sent - row.since, seconds))

    def _seconds_until_free(self) -> float:
        tokens = sum(len(waiting.item.ids) for waiting in self._waiting)
        return min(max(tokens * self._seconds_per_token, _SOONEST_SECONDS), _LATEST_SECONDS)


def assemble(items: Sequence[Encoded], length: int) -> Batch:
    """The tensors of a batch, padded to `length` tokens. The padding's id does not matter: the mask hides it."""
    input_ids = np.zeros((len(items), length), dtype=np.int32)
    attention_mask = np.zeros_like(input_ids)
    for row, item in enumerate(items):
        input_ids[row, : len(item.ids)] = item.ids
        attention_mask[row, : len(item.ids)] = 1
    return Batch(items[0].version, input_ids, attention_mask)
