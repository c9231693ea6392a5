from collections import deque
from collections.abc import Iterator, Sequence
from typing import Self, cast

import grpc
import pyarrow as pa
import pytest
from undertone_batch import Service
from undertone_batch.worker import Worker, score_arrays
from undertone_client import CallCounts, Failure, Outcome, Paragraph, Settings


class SlowStream:
    """Has a result only when `receive` waits for it."""

    ready = False

    def __init__(self) -> None:
        self._sent: deque[Sequence[Paragraph | Failure]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def send(self, paragraphs: Sequence[Paragraph | Failure]) -> None:
        self._sent.append(paragraphs)

    def finish(self) -> None: ...

    def receive(self) -> list[Outcome]:
        return [
            each if isinstance(each, Failure) else Failure(each, grpc.StatusCode.INTERNAL, "scripted", attempts=1)
            for each in self._sent.popleft()
        ]


class SlowWorker:
    service = Service("localhost:1", Settings(batch_items=1, lookahead_items=40, lookahead_characters=1000))

    def open_stream(self) -> SlowStream:
        return SlowStream()

    def counts(self) -> CallCounts:
        return CallCounts()


@pytest.mark.parametrize(
    ("texts", "max_pending"),
    [
        pytest.param(["a word"] * 10, 5, id="40 paragraphs and one array"),
        pytest.param(["long " * 100, None], 3, id="1,000 characters and one array"),
    ],
)
def test_the_number_of_pending_arrays_is_bounded(texts: list[str | None], max_pending: int) -> None:
    pending = most = 0

    def arrays() -> Iterator[pa.Array]:
        nonlocal pending, most
        for _ in range(20):
            pending += 1
            most = max(most, pending)
            yield pa.array(texts)

    received = []
    for outcomes in score_arrays(arrays(), cast("Worker", SlowWorker())):
        pending -= 1
        received.append([outcome.paragraph.text for outcome in outcomes])
    assert most == max_pending
    assert received == [[text or "" for text in texts]] * 20
