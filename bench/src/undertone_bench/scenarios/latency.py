"""How long readers wait when the service is busy, against how long each paragraph takes alone."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np

from undertone_bench.drive import Answer, closed_loop, open_loop, poisson
from undertone_bench.paragraphs import Paragraph
from undertone_bench.pods import Caller, Pod, running
from undertone_bench.report import Figure, Goal, Plot, Report, Series, Table
from undertone_bench.spread import Spread, quantile
from undertone_bench.taking import Taking

_PROBES: Final = 12
_CONCURRENCY: Final = 64
_POINTS: Final = 300
"""At most so many are drawn."""


@dataclass(frozen=True, slots=True)
class _Round:
    """Paragraphs a second at saturation, pairs of tokens and seconds of paragraphs alone, and the answers at the open rate."""

    saturation: float
    alone: tuple[tuple[int, float], ...]
    rate: float
    answers: tuple[Answer[Paragraph], ...]


def latency(taking: Taking, *, load: float, seconds: float) -> Report:
    """In each round: paragraphs one by one, then as many as the service can take, then Poisson arrivals at `load` (a part of
    one) of that rate for so many `seconds`."""
    with running(taking.model, taking.flags) as pod, asyncio.Runner() as runner:
        rounds = runner.run(_rounds(taking, pod, load, seconds))
    return _report(taking, rounds, load)


async def _rounds(taking: Taking, pod: Pod, load: float, seconds: float) -> list[_Round]:
    caller = Caller(pod.target)
    probes = taking.source.paragraphs(_probe_lengths(taking))
    await closed_loop(caller, [*probes, *taking.paragraphs(256)], _CONCURRENCY)  # the first calls at new lengths are slow
    rounds = []
    rate = 0.0
    for number in range(taking.rounds):
        alone = await closed_loop(caller, probes * 3, 1)
        # As many as take about a third of the open loop's time, of which a first guess is made from those alone.
        guess = rate or 1 / median(answer.seconds for answer in alone)
        saturation = await _saturation(caller, taking.paragraphs(max(_CONCURRENCY * 4, int(guess * seconds / 3)), seed=number))
        rate = load * saturation
        times = poisson(rate, seconds, random.Random(number))
        answers = await open_loop(caller, taking.paragraphs(max(1, len(times)), seed=100 + number), times)
        pairs = tuple((answer.item.tokens, answer.seconds) for answer in alone)
        rounds.append(_Round(saturation, pairs, rate, tuple(answers)))
        print(f"round {number + 1}: saturation {saturation:.1f}/s, {len(answers)} answers at {rate:.1f}/s", flush=True)
    await caller.close()
    return rounds


async def _saturation(caller: Caller, paragraphs: Sequence[Paragraph]) -> float:
    """Paragraphs a second as long as _CONCURRENCY are under way: when the last have been sent, the service has less to choose
    from, and ends up with one."""
    answered: list[float] = []

    async def call(paragraph: Paragraph) -> bool:
        ok = await caller(paragraph)
        answered.append(time.perf_counter())
        return ok

    started = time.perf_counter()
    await closed_loop(call, paragraphs, _CONCURRENCY)
    steady = answered[:-_CONCURRENCY]
    return len(steady) / (steady[-1] - started)


def _probe_lengths(taking: Taking) -> list[int]:
    """Of the histogram, and those around the model's longest sequence, where paragraphs begin to be cut."""
    longest = taking.model.contract.max_tokens
    quantiles = {taking.histogram.quantile(index / _PROBES) for index in range(_PROBES)}
    edges = {longest - 8, longest + 16, taking.histogram.lengths[-1]}
    return sorted(length for length in quantiles | edges if length <= taking.histogram.lengths[-1])


def _values(answers: Sequence[Answer[Paragraph]], value: str, expected: Callable[[Answer[Paragraph]], float]) -> list[float]:
    """Latencies in seconds, or what they are of the time that the paragraph takes alone."""
    return [answer.seconds / (expected(answer) if value == "slowdown" else 1.0) for answer in answers]


def _scaled(spread: Spread, factor: float) -> Spread:
    return Spread(spread.median * factor, spread.least * factor, spread.most * factor)


def _report(taking: Taking, rounds: Sequence[_Round], load: float) -> Report:
    alone: dict[int, list[float]] = {}
    for tokens, seconds in (pair for one in rounds for pair in one.alone):
        alone.setdefault(tokens, []).append(seconds)
    known = sorted((tokens, median(seconds)) for tokens, seconds in alone.items())
    x, y = [float(tokens) for tokens, _ in known], [seconds for _, seconds in known]

    def expected(answer: Answer[Paragraph]) -> float:
        return float(np.interp(answer.item.tokens, x, y))

    def over(value: str, part: float) -> Spread:
        return Spread.of(quantile(_values(one.answers, value, expected), part) for one in rounds)

    figures = [
        Figure("saturation, paragraphs/s", Spread.of(one.saturation for one in rounds), ".1f"),
        Figure(f"arrivals at {load:.0%}, paragraphs/s", Spread.of(one.rate for one in rounds), ".1f"),
        Figure("p99 of latency / time alone, of each paragraph", over("slowdown", 0.99), ".1f", Goal("at most", 3.0)),
        Figure(
            "p99 of latency / p99 of time alone",
            Spread.of(
                quantile(_values(one.answers, "latency", expected), 0.99) / quantile([expected(a) for a in one.answers], 0.99)
                for one in rounds
            ),
            ".1f",
        ),
        Figure("not answered", Spread.of(float(sum(not answer.ok for answer in one.answers)) for one in rounds), ".0f"),
    ]
    parts = (0.5, 0.9, 0.99)
    answers = [answer for one in rounds for answer in one.answers]
    drawn = answers[:: max(1, len(answers) // _POINTS)]
    return taking.report(
        "latency",
        table=Table(
            ("", "p50", "p90", "p99"),
            (
                ("alone, ms", *(f"{quantile([expected(a) * 1e3 for a in answers], part):.0f}" for part in parts)),
                (f"at {load:.0%} of saturation, ms", *(f"{_scaled(over('latency', part), 1e3):.0f}" for part in parts)),
                ("latency / time alone", *(f"{over('slowdown', part):.1f}" for part in parts)),
            ),
        ),
        figures=figures,
        plot=Plot(
            f"{taking.model.label}: latency at {load:.0%} of saturation",
            "tokens",
            "ms",
            (
                Series("alone", tuple(x), tuple(seconds * 1e3 for seconds in y)),
                Series(
                    f"at {load:.0%} of saturation",
                    tuple(float(answer.item.tokens) for answer in drawn),
                    tuple(answer.seconds * 1e3 for answer in drawn),
                    line=False,
                ),
            ),
        ),
        raw=[
            {
                "saturation": one.saturation,
                "rate": one.rate,
                "alone": one.alone,
                "answers": [(answer.item.tokens, round(answer.seconds, 5), answer.ok) for answer in one.answers],
            }
            for one in rounds
        ],
    )
