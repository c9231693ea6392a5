"""One batch over its attempts: what is answered stays, what was refused for now is sent again."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from undertone_protos.v1 import classifier_pb2 as pb

from undertone_client.errors import ServiceError, pushback_seconds
from undertone_client.retry import RETRIED, Retry
from undertone_client.values import Failure, Outcome, Paragraph
from undertone_client.wire import batch_outcomes

Trailers = Sequence[tuple[str, str | bytes]]
Send = Callable[[Sequence[Paragraph]], Awaitable[tuple[pb.ClassifyBatchResponse, Trailers]]]


class _ItemsRefusedError(ServiceError):
    """The call succeeded, but some of its paragraphs ask to be sent again; their failures are noted already."""


class BatchCall:
    """Sends paragraphs and collects an outcome for each. Used once."""

    def __init__(self, paragraphs: Sequence[Paragraph], send: Send) -> None:
        self._paragraphs = paragraphs
        self._send = send
        self._outcomes: dict[int, Outcome] = {}
        self._open = list(range(len(paragraphs)))
        self._attempts = 0

    async def run(self, retry: Retry) -> list[Outcome]:
        """An outcome for each paragraph, in order. A call that fails as a whole fails each of them; nothing is raised."""
        try:
            await retry.run(self._attempt)
        except _ItemsRefusedError:
            pass
        except ServiceError as error:
            for index in self._open:
                self._outcomes[index] = Failure(self._paragraphs[index], error.status, error.reason, error.attempts)
        return [self._outcomes[index] for index in range(len(self._paragraphs))]

    async def _attempt(self) -> None:
        self._attempts += 1
        sent = [self._paragraphs[index] for index in self._open]
        reply, trailers = await self._send(sent)
        refused: list[int] = []
        last: Failure | None = None
        for index, outcome in zip(self._open, batch_outcomes(reply, sent), strict=True):
            if isinstance(outcome, Failure):
                self._outcomes[index] = replace(outcome, attempts=self._attempts)
                if outcome.status in RETRIED:
                    refused.append(index)
                    last = outcome
            else:
                self._outcomes[index] = outcome
        self._open = refused
        if last is not None:
            raise _ItemsRefusedError(last.status, last.reason, pushback_seconds=pushback_seconds(trailers))
