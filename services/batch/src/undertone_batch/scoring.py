"""Arrow batches through the service: what `emotions` and `predict` have in common."""

import time
from collections import deque
from collections.abc import Iterator

import grpc
import pyarrow as pa
from undertone_client import Failure, Outcome, Paragraph

from undertone_batch.effort import Effort
from undertone_batch.worker import Worker


def paragraphs_of(texts: pa.Array) -> list[Paragraph | Failure]:
    """A paragraph for each text, or the failure of what is none: nulls, and bytes that are not UTF-8."""
    return [_paragraph(value) for value in texts.cast(pa.binary()).to_pylist()]


def _paragraph(value: bytes | None) -> Paragraph | Failure:
    if value is None:
        return _refused("the text is null")
    try:
        return Paragraph(value.decode())
    except UnicodeDecodeError as error:
        return _refused(f"the text is not UTF-8 at byte {error.start}")


def _refused(reason: str) -> Failure:
    return Failure(Paragraph(""), grpc.StatusCode.INVALID_ARGUMENT, reason, attempts=0)


def outcomes_of(texts: Iterator[pa.Array], worker: Worker, effort: Effort) -> Iterator[list[Outcome]]:
    """An outcome for each text of each array, array by array; counts into `effort`.

    As many paragraphs as the client looks ahead are held at once, and one array more: the calls of one array are not waited for
    before those of the next are made.

    Raises:
        ServiceError: the service did not answer when asked for its limits.
    """
    began = time.perf_counter()
    sizes: deque[int] = deque()
    with worker.exchange() as exchange:

        def received() -> list[Outcome]:
            asked = time.perf_counter()
            outcomes = exchange.receive()
            effort.waiting_seconds += time.perf_counter() - asked
            effort.outcomes.update(
                outcome.status.name if isinstance(outcome, Failure) else grpc.StatusCode.OK.name for outcome in outcomes
            )
            sizes.popleft()
            return outcomes

        for array in texts:
            exchange.send(paragraphs_of(array))
            sizes.append(len(array))
            while sum(sizes) > worker.service.settings.lookahead_items or (sizes and exchange.ready):
                yield received()
        exchange.finish()
        while sizes:
            yield received()
    effort.tasks += 1
    effort.seconds += time.perf_counter() - began
