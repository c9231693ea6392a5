"""Sends each paragraph to two services at the same time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

from undertone_client import Client
from undertone_client.errors import ServiceError
from undertone_client.values import Failure, Outcome, Paragraph, Policy

from undertone_cli.readers import InputParagraph


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a paragraph at one service, and the seconds until it, retries included."""

    outcome: Outcome
    seconds: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A paragraph and its answers."""

    paragraph: InputParagraph
    baseline: Answer
    candidate: Answer


async def answer_pairs(
    paragraphs: AsyncIterator[InputParagraph],
    baseline: Client,
    candidate: Client,
    policy: Policy,
    *,
    concurrency: int,
    clock: Callable[[], float],
) -> AsyncGenerator[Pair, None]:
    """Yield the paragraphs with their answers, in the order in which both answers are known.

    Args:
        paragraphs: paragraphs with a text.
        baseline, candidate: open clients.
        policy: how long paragraphs are scored.
        concurrency: the largest number of paragraphs in flight, each at both services.
        clock: a monotonic clock, in seconds.
    """

    async def ask(client: Client, paragraph: InputParagraph) -> Answer:
        start = clock()
        # The service limits the length of ids, so that it gets the number of the paragraph.
        sent = Paragraph(paragraph.text or "", str(paragraph.ordinal))
        try:
            outcome: Outcome = await client.classify(sent, policy=policy)
        except ServiceError as error:
            outcome = Failure(sent, error.status, error.reason, error.attempts)
        return Answer(outcome, clock() - start)

    async def ask_both(paragraph: InputParagraph) -> Pair:
        # Each service is called first half of the time, which has an effect on the latency.
        if paragraph.ordinal % 2:
            second, first = await asyncio.gather(ask(candidate, paragraph), ask(baseline, paragraph))
        else:
            first, second = await asyncio.gather(ask(baseline, paragraph), ask(candidate, paragraph))
        return Pair(paragraph, first, second)

    pending: set[asyncio.Task[Pair]] = set()
    try:
        async for paragraph in paragraphs:
            pending.add(asyncio.create_task(ask_both(paragraph)))
            if len(pending) == concurrency:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in pending:
            task.cancel()
