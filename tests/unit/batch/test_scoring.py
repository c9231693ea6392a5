"""A task holds no more text than its client looks ahead for, and gives every array back."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Self, cast

import grpc
import pyarrow as pa
import pytest
from undertone_batch import Service
from undertone_batch.scoring import outcomes_of
from undertone_batch.worker import Worker
from undertone_client import CallCounts, Failure, Outcome, Paragraph, Settings


class LateBridge:
    """Has an answer only when it is waited for."""

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
            one if isinstance(one, Failure) else Failure(one, grpc.StatusCode.INTERNAL, "scripted", attempts=1)
            for one in self._sent.popleft()
        ]


class LateWorker:
    service = Service("localhost:1", Settings(batch_items=1, lookahead_items=40, lookahead_characters=1000))

    def bridge(self) -> LateBridge:
        return LateBridge()

    def calls(self) -> CallCounts:
        return CallCounts()


@pytest.mark.parametrize(
    ("texts", "held"),
    [
        pytest.param(["a word"] * 10, 5, id="by paragraphs: 40, and an array"),
        pytest.param(["long " * 100, None], 3, id="by characters: 1,000, and an array"),
    ],
)
def test_what_is_held_is_bounded(texts: list[str | None], held: int) -> None:
    under_way = most = 0

    def arrays() -> Iterator[pa.Array]:
        nonlocal under_way, most
        for _ in range(20):
            under_way += 1
            most = max(most, under_way)
            yield pa.array(texts)

    received = []
    for outcomes in outcomes_of(arrays(), cast("Worker", LateWorker())):
        under_way -= 1
        received.append([outcome.paragraph.text for outcome in outcomes])
    assert most == held
    assert received == [[text or "" for text in texts]] * 20
