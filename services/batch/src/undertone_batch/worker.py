"""Scoring in a Python worker process of Spark.

The client lives as long as the process; each task sends its paragraphs through it.
"""

import asyncio
import functools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator

import grpc
import pyarrow as pa
from undertone_client import CallCounts, Client, Failure, Outcome, Paragraph, Score
from undertone_client.telemetry import CATALOGUE, client_hooks
from undertone_telemetry import Telemetry

from undertone_batch.config import Service
from undertone_batch.summary import TaskMetrics
from undertone_batch.task_stream import TaskStream


class Worker:
    """The client of one service. It stays open, so that its limit and breaker keep their state.

    Spark reuses a Python worker process for many tasks (`spark.python.worker.reuse`), and runs one
    task at a time in it.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="undertone", daemon=True).start()
        telemetry = Telemetry(service.telemetry, CATALOGUE, service="undertone-batch")
        self._client = Client(service.target, settings=service.settings, **client_hooks(telemetry, service.target))
        asyncio.run_coroutine_threadsafe(self._client.__aenter__(), self._loop).result()

    def open_stream(self) -> TaskStream:
        """A stream of paragraphs for one task."""
        return TaskStream(self._loop, functools.partial(self._client.score, policy=self.service.policy))

    def counts(self) -> CallCounts:
        """The client's counts so far."""

        async def counts() -> CallCounts:
            return self._client.state().counts

        return asyncio.run_coroutine_threadsafe(counts(), self._loop).result()


@functools.cache
def worker_for(service: Service) -> Worker:
    """This process's worker for a service. The first call connects."""
    return Worker(service)


def score_arrays(
    texts: Iterator[pa.Array], worker: Worker, on_finish: Callable[[TaskMetrics], None] | None = None
) -> Iterator[list[Outcome]]:
    """Scores arrays of texts; yields the outcomes of each array, in order.

    Several arrays are pending at once, so that the calls of one array overlap with those of the
    next. The pending paragraphs and characters are bounded by the client's lookahead plus one
    array.

    Args:
        texts: Strings, or UTF-8 as binary.
        worker: Scores the texts.
        on_finish: Called at the end with the metrics of the task.

    Raises:
        ServiceError: the service did not answer when the client asked for its limits.
    """
    settings = worker.service.settings
    start, counts_before = time.perf_counter(), worker.counts()
    waiting_seconds, scored, tokens = 0.0, 0, 0
    flags: Counter[str] = Counter()
    pending: deque[tuple[int, int]] = deque()  # paragraphs and characters of each array
    with worker.open_stream() as stream:

        def receive() -> list[Outcome]:
            nonlocal waiting_seconds, scored, tokens
            wait_start = time.perf_counter()
            outcomes = stream.receive()
            waiting_seconds += time.perf_counter() - wait_start
            scores = [outcome for outcome in outcomes if isinstance(outcome, Score)]
            scored += len(scores)
            tokens += sum(score.tokens for score in scores)
            flags.update(flag for score in scores for flag in score.flags)
            pending.popleft()
            return outcomes

        def is_full() -> bool:
            paragraphs, characters = (sum(sizes) for sizes in zip(*pending, strict=True)) if pending else (0, 0)
            return paragraphs > settings.lookahead_items or characters > settings.lookahead_characters

        for array in texts:
            batch = [_paragraph(value) for value in array.cast(pa.binary()).to_pylist()]
            stream.send(batch)
            pending.append((len(batch), sum(len(each.text) for each in batch if isinstance(each, Paragraph))))
            while is_full() or (pending and stream.ready):
                yield receive()
        stream.finish()
        while pending:
            yield receive()
    if on_finish is not None:
        seconds = time.perf_counter() - start
        on_finish(TaskMetrics(1, scored, seconds, waiting_seconds, worker.counts() - counts_before, tokens, flags))


def _paragraph(value: bytes | None) -> Paragraph | Failure:
    if value is None:
        return _invalid("the text is null")
    try:
        return Paragraph(value.decode())
    except UnicodeDecodeError as error:
        return _invalid(f"the text is not UTF-8 at byte {error.start}")


def _invalid(reason: str) -> Failure:
    return Failure(Paragraph(""), grpc.StatusCode.INVALID_ARGUMENT, reason, attempts=0)
