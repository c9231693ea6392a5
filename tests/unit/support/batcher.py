"""Batchers with a fake model server, and requests for them."""

import asyncio
import math
from collections.abc import Sequence

import numpy as np
from undertone_sidecar.activity import Activity
from undertone_sidecar.backend import Batch
from undertone_sidecar.batching import BatchLimits, Lane, MicroBatcher, Request, Scored
from undertone_sidecar.batching.predict_call import PredictCall, PreparedBatch
from undertone_sidecar.batching.selection import BatchSelection, pad_batch
from undertone_sidecar.events import Event
from undertone_sidecar.lengths import PaddedLengths
from undertone_sidecar.testing import FakeBackend, FakeClock

LENGTHS = PaddedLengths.up_to(512)


def request(tokens: int, *, first: int = 1, version: int = 1, deadline: float = math.inf, lane: Lane = Lane.ONLINE) -> Request:
    """A request whose token ids count up from `first`."""
    ids = np.arange(first, first + tokens, dtype=np.int32)
    return Request(ids, LENGTHS.fit(tokens), version, deadline, lane)


def predict_call(sent_at: float = 0.0) -> PredictCall:
    """A call with one request of 16 tokens."""
    selection = BatchSelection((request(16),), 16, 16)
    return PredictCall(PreparedBatch(selection, pad_batch(selection), prefetched=False), sent_at)


def limits(budget: int = 512, *, slots: int = 1, queue_tokens: int = 100_000) -> BatchLimits:
    return BatchLimits(budget=budget, slots=slots, queue_tokens=queue_tokens, batch_share=0.1)


def make_batcher(
    backend: FakeBackend,
    clock: FakeClock | None = None,
    *,
    queue_tokens: int = 100_000,
    events: list[Event] | None = None,
    activity: Activity | None = None,
    call_seconds: float = 30,
) -> MicroBatcher:
    """A batcher with one slot and without jitter, whose clock stands still by default."""
    return MicroBatcher(
        backend,
        limits(queue_tokens=queue_tokens),
        call_seconds=call_seconds,
        margin_seconds=0.01,
        clock=clock or FakeClock(),
        listener=(lambda _: None) if events is None else events.append,
        activity=activity,
        jitter=lambda: 0.0,
    )


def submit(batcher: MicroBatcher, request: Request) -> asyncio.Future[Scored]:
    (result,) = batcher.submit([request])
    return result


def first_ids(batches: Sequence[Batch]) -> list[int]:
    """The first token id of each row."""
    return [int(row[0]) for batch in batches for row in batch.input_ids]
