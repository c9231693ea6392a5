"""One batch over its attempts: what is answered stays, what was refused for now is sent again, what poisons it is set apart."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import grpc
from undertone_protos.v1 import classifier_pb2 as pb

from undertone_client.errors import ServiceError, pushback_seconds
from undertone_client.resilience.progress import Progress
from undertone_client.resilience.statuses import POISONED, retried
from undertone_client.values import Failure, Outcome, Paragraph
from undertone_client.wire import batch_outcomes

Trailers = Sequence[tuple[str, str | bytes]]
Send = Callable[[Sequence[Paragraph], Progress], Awaitable[tuple[pb.ClassifyBatchResponse, Trailers]]]
PauseAfter = Callable[[Failure, float | None, Progress], Awaitable[bool]]
Heard = Callable[[Progress], None]


class BatchCall:
    """Sends paragraphs and collects an outcome for each. Used once.

    Args:
        paragraphs: at least one.
        send: makes a call, retries included; raises `ServiceError`.
        pause: waits before paragraphs that were refused for now are sent again, given one of the refusals and the pushback;
            False if they are not to be.
        advanced: hears that some paragraphs of a call were answered, while others were refused for now.
        halved: hears that a call failed and goes on as two.
    """

    def __init__(
        self, paragraphs: Sequence[Paragraph], send: Send, pause: PauseAfter, *, advanced: Heard, halved: Heard
    ) -> None:
        self._paragraphs = paragraphs
        self._send = send
        self._pause = pause
        self._advanced = advanced
        self._halved = halved
        self._outcomes: dict[int, Outcome] = {}

    async def run(self, progress: Progress) -> list[Outcome]:
        """An outcome for each paragraph, in order. A call that fails for good fails each of them; nothing is raised."""
        await self._settle(range(len(self._paragraphs)), progress)
        return [self._outcomes[index] for index in range(len(self._paragraphs))]

    async def _settle(self, places: Sequence[int], progress: Progress) -> None:
        while places:
            sent = [self._paragraphs[place] for place in places]
            try:
                reply, trailers = await self._send(sent, progress)
                outcomes = batch_outcomes(reply, sent)
            except ServiceError as error:
                if error.status in POISONED and len(places) > 1:
                    await self._bisect(places, progress)
                else:
                    for place, paragraph in zip(places, sent, strict=True):
                        self._outcomes[place] = Failure(paragraph, error.status, error.reason, progress.attempts)
                return
            refused: dict[int, Failure] = {}
            for place, outcome in zip(places, outcomes, strict=True):
                if isinstance(outcome, Failure):
                    outcome = replace(outcome, attempts=progress.attempts)
                    if retried(outcome.status, progress.mode):
                        refused[place] = outcome
                self._outcomes[place] = outcome
            if not refused:
                return
            if len(refused) < len(places):
                self._advanced(progress)
            # Of several reasons, that there was no room: it is the one that is waited for the longest, so nothing is lost.
            refusal = min(refused.values(), key=lambda failure: failure.status is not grpc.StatusCode.RESOURCE_EXHAUSTED)
            if not await self._pause(refusal, pushback_seconds(trailers), progress):
                return
            places = list(refused)

    async def _bisect(self, places: Sequence[int], progress: Progress) -> None:
        self._halved(progress)
        # One half after the other: a service that fails like this needs no second call at the same time.
        half = len(places) // 2
        await self._settle(places[:half], progress.again())
        await self._settle(places[half:], progress.again())
