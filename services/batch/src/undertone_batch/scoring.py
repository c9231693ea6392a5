"""Arrow batches through the service: what `emotions` and `predict` have in common."""

import time
from collections import deque
from collections.abc import Callable, Iterator

import grpc
import pyarrow as pa
from undertone_client import Failure, Outcome, Paragraph, Score

from undertone_batch.task_metrics import TaskMetrics
from undertone_batch.worker import Worker


def outcomes_of(
    texts: Iterator[pa.Array], worker: Worker, done: Callable[[TaskMetrics], None] | None = None
) -> Iterator[list[Outcome]]:
    """An outcome for each text of each array, array by array.

    As many paragraphs, and as many characters, as the client looks ahead are held at once, and one array more: the calls of one
    array are not waited for before those of the next are made.

    Args:
        texts: strings, or binary in UTF-8.
        worker: whose client is asked.
        done: is told at the end what it took.

    Raises:
        ServiceError: the service did not answer when asked for its limits.
    """
    settings = worker.service.settings
    began, calls = time.perf_counter(), worker.calls()
    waited, scored = 0.0, 0
    sent: deque[tuple[int, int]] = deque()  # paragraphs and characters of each array
    with worker.bridge() as bridge:

        def received() -> list[Outcome]:
            nonlocal waited, scored
            asked = time.perf_counter()
            outcomes = bridge.receive()
            waited += time.perf_counter() - asked
            scored += sum(isinstance(outcome, Score) for outcome in outcomes)
            sent.popleft()
            return outcomes

        def full() -> bool:
            items, characters = (sum(sizes) for sizes in zip(*sent, strict=True)) if sent else (0, 0)
            return items > settings.lookahead_items or characters > settings.lookahead_characters

        for array in texts:
            paragraphs = [_paragraph(value) for value in array.cast(pa.binary()).to_pylist()]
            bridge.send(paragraphs)
            sent.append((len(paragraphs), sum(_characters(paragraph) for paragraph in paragraphs)))
            while full() or (sent and bridge.ready):
                yield received()
        bridge.finish()
        while sent:
            yield received()
    if done is not None:
        done(TaskMetrics(1, scored, time.perf_counter() - began, waited, worker.calls() - calls))


def _paragraph(value: bytes | None) -> Paragraph | Failure:
    if value is None:
        return _refused("the text is null")
    try:
        return Paragraph(value.decode())
    except UnicodeDecodeError as error:
        return _refused(f"the text is not UTF-8 at byte {error.start}")


def _characters(paragraph: Paragraph | Failure) -> int:
    return len(paragraph.text) if isinstance(paragraph, Paragraph) else 0


def _refused(reason: str) -> Failure:
    return Failure(Paragraph(""), grpc.StatusCode.INVALID_ARGUMENT, reason, attempts=0)
