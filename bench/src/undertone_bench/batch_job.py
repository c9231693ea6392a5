"""A batch job that does not end, and the rate of tokens at the model server."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Final

from undertone_client import Client

from undertone_bench.pods import Pod
from undertone_bench.variants import LONG_TIMEOUT, raise_on_failure
from undertone_bench.workload import Paragraph

RAMP_UP_SECONDS: Final = 4.0
"""Time until the batch client's limit has converged."""


class BatchJob:
    """An endless stream of paragraphs through the client library, in the lane `batch`.

    `scored` is the number of answered paragraphs so far.
    """

    def __init__(self, client: Client, paragraphs: Sequence[Paragraph]) -> None:
        self.scored = 0
        self._client = client
        self._texts = [paragraph.text for paragraph in paragraphs]

    @contextlib.asynccontextmanager
    async def running(self, ramp_up_seconds: float = RAMP_UP_SECONDS) -> AsyncIterator[None]:
        """Enter the block after the ramp-up. Raises BenchError if a paragraph fails."""
        task = asyncio.create_task(self._run())
        try:
            await asyncio.sleep(ramp_up_seconds)
            yield
            if task.done():
                task.result()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        async with contextlib.aclosing(self._client.score(itertools.cycle(self._texts), ordered=False)) as outcomes:
            async for outcome in outcomes:
                raise_on_failure(outcome)
                self.scored += 1


async def token_rate(pod: Pod, work: Awaitable[None], kind: str = "") -> float:
    """Tokens per second at the model server during `work`: all, or those of a kind.

    See `Pod.sent_tokens`.
    """
    before, started = await asyncio.to_thread(pod.sent_tokens, kind), time.perf_counter()
    await work
    seconds = time.perf_counter() - started
    return (await asyncio.to_thread(pod.sent_tokens, kind) - before) / seconds


async def batch_rates(pod: Pod, paragraphs: Sequence[Paragraph], tokens: int, seconds: float) -> tuple[float, float]:
    """Padded tokens and paragraphs per second of a batch job on a pod.

    `tokens` is the number of tokens of all paragraphs, special tokens included. The rates are
    measured at the model server, because the job's answers come in bursts.
    """
    async with Client(pod.target, settings=LONG_TIMEOUT) as client, BatchJob(client, paragraphs).running():
        sent, text = await asyncio.gather(*(token_rate(pod, asyncio.sleep(seconds), kind) for kind in ("", "text")))
    return sent, text * len(paragraphs) / tokens
