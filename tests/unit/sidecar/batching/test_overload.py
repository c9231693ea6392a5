"""Goodput under overload: the batcher on a virtual clock, with a simulated TF Serving.

The model server has two cores and computes abandoned calls to their end. A batch of 500-token
paragraphs takes as long as with BERT-base on two cores. The capacity is 5.4 such paragraphs per
second.
"""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_planner.fleet.clock import run
from undertone_sidecar.batching import BatchLimits, Lane, MicroBatcher, Request
from undertone_sidecar.errors import OverloadedError, SidecarError, status_of
from undertone_sidecar.lengths import PaddedLengths
from undertone_sidecar.testing import SimulatedModelServer

NEVER = math.inf
CORES = SLOTS = 2
LEAD_IN = 3.0
MARGIN = 0.01
MIXES = [(0.5,), (2.0,), (NEVER,), (0.5, 2.0), (0.5, 2.0, NEVER)]
LOADS = [0.5, 1.0, 4.0]


@dataclass(frozen=True, slots=True)
class Model:
    """Duration of a call, and the lengths of paragraphs in tokens."""

    call_seconds: float
    token_seconds: float
    lengths: tuple[int, ...]
    attention_length: float = math.inf

    @property
    def padded_lengths(self) -> PaddedLengths:
        return PaddedLengths.up_to(8192, self.attention_length)

    def alone_seconds(self, length: int) -> float:
        """Duration of a call with one paragraph."""
        return self.call_seconds + self.token_seconds * length * (1 + length / self.attention_length)

    @property
    def capacity(self) -> float:
        """Paragraphs per second with full batches. Only without `attention_length`."""
        mean = sum(self.lengths) / len(self.lengths)
        return CORES / (mean * (self.token_seconds + self.call_seconds / 2048))


BERT_BASE = Model(0.012, 0.36 / 500, (512,))
SMALL_MODEL = Model(0.03, 1 / 3200, (16, 32, 64, 96, 128, 160, 224, 320))
SHORT_TEXTS = Model(0.03, 1 / 3200, (16,))
LONG_TEXTS = Model(0.012, 5e-4, (64, 256, 512, 1024, 2048, 4096, 8192), attention_length=1800)


@dataclass(slots=True)
class Result:
    """Answered paragraphs in their deadline, by status, and what they cost."""

    offered: int = 0
    answered: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    goodput: float = 0.0
    cpu_seconds: float = 0.0
    refused_too_late: int = 0


class Pod:
    """A batcher with a simulated model server, whose forecast has been measured."""

    def __init__(self, model: Model, *, seed: int = 1, noise: float = 0.05) -> None:
        self.random = random.Random(seed)
        self.model = model
        self.loop = asyncio.get_running_loop()
        self.server = SimulatedModelServer(
            cores=CORES,
            threads=CORES + 7,
            call_seconds=model.call_seconds,
            token_seconds=model.token_seconds,
            attention_length=model.attention_length,
            noise=noise,
            seed=seed,
        )
        limits = BatchLimits(budget=2048, slots=SLOTS, queue_tokens=131072, batch_share=0.1)
        self.batcher = MicroBatcher(
            self.server, limits, call_seconds=30, margin_seconds=MARGIN, clock=self.loop.time, jitter=self.random.random
        )
        self.result = Result()

    async def warm_up(self) -> None:
        """Measures calls of several sizes for the forecast."""
        for rows in (1, 2, 4, 8, 16, 32):
            await asyncio.gather(*(self.call(NEVER) for _ in range(rows)))

    async def call(self, deadline_seconds: float, length: int = 0) -> bool:
        """A paragraph with a deadline, as the pipeline handles it. Its length is random if 0."""
        started = self.loop.time()
        length = length or self.random.choice(self.model.lengths)
        self.result.offered += 1
        try:
            cost = self.model.padded_lengths.cost(length)
            request = Request(np.zeros(length, np.int32), length, 1, started + deadline_seconds, cost=cost)
            (scored,) = self.batcher.submit([request])
            async with asyncio.timeout(None if deadline_seconds == NEVER else deadline_seconds - MARGIN):
                await scored
        except (SidecarError, TimeoutError) as error:
            code = "DEADLINE_EXCEEDED" if isinstance(error, TimeoutError) else status_of(error).code.name
            self.result.codes[code] += 1
            self.result.refused_too_late += code == "RESOURCE_EXHAUSTED" and self.loop.time() > started + deadline_seconds
            return False
        self.result.codes["OK"] += 1
        self.result.answered += 1
        return True

    async def measure(self, load: Coroutine[None, None, None], seconds: float) -> Result:
        """The result of `seconds` under a load that has run for LEAD_IN seconds."""
        await self.warm_up()
        task = asyncio.create_task(load)
        await asyncio.sleep(LEAD_IN)
        self.result, cpu_before = Result(), self.server.busy_seconds
        await asyncio.sleep(seconds)
        result, self.result = self.result, Result()
        result.goodput = result.answered / seconds / self.model.capacity
        result.cpu_seconds = (self.server.busy_seconds - cpu_before) / max(1, result.answered)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self.batcher.close()
        return result


def open_loop(
    model: Model, deadlines: tuple[float, ...], load: float, *, seconds: float = 40.0, seed: int = 1, slowdown: float = 1.0
) -> tuple[Result, SimulatedModelServer]:
    """Poisson arrivals at `load` times the capacity.

    The model server slows down by the factor `slowdown` after half of the time.
    """

    async def main() -> tuple[Result, SimulatedModelServer]:
        pod = Pod(model, seed=seed)

        async def load_pod() -> None:
            start = pod.loop.time()
            async with asyncio.TaskGroup() as calls:
                while True:
                    await asyncio.sleep(pod.random.expovariate(load * model.capacity))
                    if pod.loop.time() > start + LEAD_IN + seconds / 2:
                        pod.server.slowdown = slowdown
                    calls.create_task(pod.call(pod.random.choice(deadlines)))

        return await pod.measure(load_pod(), seconds), pod.server

    return run(main())


def retrying_callers(model: Model, deadlines: tuple[float, ...], callers: int, *, seconds: float = 12.0) -> Result:
    """A closed loop of callers who retry a failed call after 10 ms, and ignore the pushback."""

    async def main() -> Result:
        pod = Pod(model)

        async def caller() -> None:
            while True:
                if not await pod.call(pod.random.choice(deadlines)):
                    await asyncio.sleep(0.01)

        async def load_pod() -> None:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(callers):
                    tasks.create_task(caller())

        return await pod.measure(load_pod(), seconds)

    return run(main())


def unloaded_cpu(model: Model) -> float:
    """CPU seconds of a paragraph that is alone."""
    return model.call_seconds + model.token_seconds * sum(model.lengths) / len(model.lengths)


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("deadlines", MIXES, ids=str)
def test_overload_does_not_reduce_goodput(deadlines: tuple[float, ...], load: float) -> None:
    """BERT-base. When a slot was free at the deadlines of its callers, 0.01 of the capacity was
    answered in time at three times the capacity with deadlines of 0.5 s, and 0.07 with 2 s. An
    answer took 13 and more times the CPU seconds.

    A deadline of 0.5 s leaves 0.1 s for the queue. So a slot is sometimes idle until the next
    arrival, and batches have one row, which costs a tenth of the capacity.
    """
    result, server = open_loop(BERT_BASE, deadlines, load)
    if load >= 3:
        assert result.goodput >= (0.88 if deadlines == (0.5,) else 0.9)
    elif 0.5 not in deadlines:
        assert result.goodput >= 0.9 * min(load, 1)
    else:
        assert result.goodput >= 0.6 * min(load, 1)
    assert result.cpu_seconds <= 1.2 * unloaded_cpu(BERT_BASE)
    assert server.max_runs <= SLOTS
    assert result.refused_too_late == 0


@pytest.mark.parametrize("deadlines", MIXES, ids=str)
def test_callers_who_retry_at_once_do_not_reduce_goodput(deadlines: tuple[float, ...]) -> None:
    """16 callers retry after 10 ms. Before, 0.02 of the capacity was answered for 0.5 s."""
    result = retrying_callers(BERT_BASE, deadlines, 16)
    assert result.goodput >= 0.9
    assert result.cpu_seconds <= 1.2 * unloaded_cpu(BERT_BASE)


@pytest.mark.parametrize("deadlines", [(0.5,), (0.5, 2.0, NEVER)], ids=str)
@pytest.mark.parametrize("model", [SMALL_MODEL, SHORT_TEXTS], ids=["small", "short"])
def test_short_deadlines_do_not_make_calls_inefficient(model: Model, deadlines: tuple[float, ...]) -> None:
    """The fixed cost of a call is a third of the cost of a short paragraph, and more."""
    result, _ = open_loop(model, deadlines, 3, seconds=4)
    assert result.goodput >= (0.9 if deadlines != (0.5,) else 0.75)
    assert result.cpu_seconds <= 1.2 * unloaded_cpu(model)


@pytest.mark.parametrize("deadlines", [(2.0,), (0.5, 2.0)], ids=str)
def test_the_forecast_follows_a_model_server_that_slows_down(deadlines: tuple[float, ...]) -> None:
    """Calls take 1.5 times as long from the middle on, so 5/6 of the capacity are left."""
    result, _ = open_loop(BERT_BASE, deadlines, 3, slowdown=1.5)
    assert result.goodput >= 0.9 * 5 / 6
    assert result.cpu_seconds <= 1.2 * 1.25 * unloaded_cpu(BERT_BASE)


@pytest.mark.parametrize("length", [512, 2048, 8192])
def test_the_forecast_holds_for_every_length(length: int) -> None:
    """A paragraph of 8192 tokens takes 43 times as long as one of 512 tokens.

    Each paragraph is accepted if its deadline can be met, and refused before it is computed if not.
    """

    async def main() -> None:
        pod = Pod(LONG_TEXTS, noise=0.01)
        for _ in range(6):
            await asyncio.gather(*(pod.call(NEVER, tokens) for tokens in LONG_TEXTS.lengths))
        alone = LONG_TEXTS.alone_seconds(length)
        calls = len(pod.server.shapes)
        with pytest.raises(OverloadedError):
            pod.batcher.check(Lane.ONLINE, "", [LONG_TEXTS.padded_lengths.cost(length)], pod.loop.time() + 0.85 * alone)
        assert not await pod.call(0.85 * alone, length)
        assert pod.result.codes["RESOURCE_EXHAUSTED"] == 1
        assert len(pod.server.shapes) == calls
        assert await pod.call(1.3 * alone, length)
        await pod.batcher.close()

    run(main())


def test_long_paragraphs_with_deadlines_do_not_waste_the_model_server() -> None:
    """At twice the capacity, hardly any paragraph is computed after its deadline."""

    async def main() -> None:
        pod = Pod(LONG_TEXTS)
        for _ in range(3):
            await asyncio.gather(*(pod.call(NEVER, tokens) for tokens in LONG_TEXTS.lengths))
        pod.result, useful, before = Result(), list[float](), pod.server.busy_seconds

        async def call(length: int) -> None:
            if await pod.call(4 * LONG_TEXTS.alone_seconds(length), length):
                useful.append(LONG_TEXTS.alone_seconds(length))

        mean = sum(map(LONG_TEXTS.alone_seconds, LONG_TEXTS.lengths)) / len(LONG_TEXTS.lengths)
        async with asyncio.TaskGroup() as calls:
            for _ in range(400):
                await asyncio.sleep(pod.random.expovariate(2 * CORES / mean))
                calls.create_task(call(pod.random.choice(LONG_TEXTS.lengths)))
        assert sum(useful) >= 0.85 * (pod.server.busy_seconds - before)
        assert pod.result.refused_too_late == 0
        await pod.batcher.close()

    run(main())


arrivals = st.lists(
    st.tuples(st.floats(0, 0.5), st.sampled_from([0.3, 0.5, 2.0, NEVER]), st.sampled_from([None, 0.1, 1.0])),
    min_size=1,
    max_size=60,
)


@given(arrivals, st.integers(1, 4), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_every_request_is_resolved_once_and_slots_are_never_overcommitted(
    arrivals: list[tuple[float, float, float | None]], slots: int, seed: int
) -> None:
    """Each arrival has a pause before it, a deadline, and a time until its caller cancels it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = SimulatedModelServer(cores=2, threads=slots, call_seconds=0.01, token_seconds=0.001, noise=0.3, seed=seed)
        limits = BatchLimits(budget=1024, slots=slots, queue_tokens=4096, batch_share=0.1)
        batcher = MicroBatcher(server, limits, call_seconds=30, margin_seconds=MARGIN, clock=loop.time)
        outcomes = Counter[str]()

        async def call(deadline_seconds: float, patience: float | None) -> None:
            started = loop.time()
            request = Request(np.zeros(256, np.int32), 256, 1, started + deadline_seconds)
            try:
                (result,) = batcher.submit([request])
                async with asyncio.timeout(patience):
                    await result
                outcomes["scored"] += 1
            except TimeoutError:
                outcomes["cancelled"] += 1
            except SidecarError as error:
                outcomes[type(error).__name__] += 1

        tasks = []
        for pause, deadline_seconds, patience in arrivals:
            await asyncio.sleep(pause)
            tasks.append(asyncio.create_task(call(deadline_seconds, patience)))
        await asyncio.gather(*tasks)
        assert outcomes.total() == len(arrivals)
        assert set(outcomes) <= {"scored", "cancelled", "OverloadedError", "DeadlineError"}
        assert server.max_runs <= slots
        # A request is in one batch at most.
        assert sum(rows for rows, _ in server.shapes) <= len(arrivals)
        await batcher.close()

    run(main())
