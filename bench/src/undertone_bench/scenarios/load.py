"""Any load, to look at one thing at a time."""

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass

from undertone_bench.drive import Answer, closed_loop, open_loop, poisson
from undertone_bench.paragraphs import Paragraph
from undertone_bench.pods import Caller, running
from undertone_bench.report import Figure, Plot, Report, Series, Table
from undertone_bench.spread import Spread, quantile
from undertone_bench.taking import Taking


@dataclass(frozen=True, slots=True)
class Open:
    """Poisson arrivals, `rate` a second for so many `seconds`."""

    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Closed:
    """`count` calls, `concurrency` at once."""

    concurrency: int
    count: int


def load(taking: Taking, arrivals: Open | Closed, *, target: str | None, lane: str) -> Report:
    """Drives the service at `target`, or a pod of its own, once for each round."""
    with contextlib.ExitStack() as stack:
        address = target or stack.enter_context(running(taking.model, taking.flags)).target
        runner = stack.enter_context(asyncio.Runner())
        rounds = [runner.run(_round(taking, arrivals, address, lane, number)) for number in range(taking.rounds)]
    answers = [answer for _, found in rounds for answer in found]
    latencies = [answer.seconds * 1e3 for answer in answers]
    parts = [index / 100 for index in range(100)]
    return taking.report(
        "load",
        table=Table(
            ("", "p50", "p90", "p99"), (("latency, ms", *(f"{quantile(latencies, part):.1f}" for part in (0.5, 0.9, 0.99))),)
        ),
        figures=(
            Figure("answered, paragraphs/s", Spread.of(sum(a.ok for a in found) / seconds for seconds, found in rounds), ".1f"),
            Figure("not answered", Spread.of(float(sum(not answer.ok for answer in found)) for _, found in rounds), ".0f"),
        ),
        plot=Plot(
            f"{taking.model.label}: latency",
            "part of the calls",
            "ms, at most",
            (Series("latency", tuple(parts), tuple(quantile(latencies, part) for part in parts)),),
        ),
        raw=[{"seconds": seconds, "answers": [(a.item.tokens, a.seconds, a.ok) for a in found]} for seconds, found in rounds],
        notes=(f"{arrivals}",),
    )


async def _round(
    taking: Taking, arrivals: Open | Closed, target: str, lane: str, number: int
) -> tuple[float, list[Answer[Paragraph]]]:
    """How long it took, and the answers."""
    caller = Caller(target, lane)
    started = time.perf_counter()
    if isinstance(arrivals, Open):
        times = poisson(arrivals.rate, arrivals.seconds, random.Random(number))
        answers = await open_loop(caller, taking.paragraphs(max(1, len(times)), seed=number), times)
    else:
        answers = await closed_loop(caller, taking.paragraphs(arrivals.count, seed=number), arrivals.concurrency)
    seconds = time.perf_counter() - started
    await caller.close()
    return seconds, answers
