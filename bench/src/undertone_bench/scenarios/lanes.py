"""What readers notice of a job that fills the machine, and the job of the readers."""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import Final

from undertone_client import Client, Failure

from undertone_bench.arms import PATIENT
from undertone_bench.drive import Answer, open_loop, poisson
from undertone_bench.errors import BenchError
from undertone_bench.paragraphs import Paragraph
from undertone_bench.pods import Caller, Pod, running
from undertone_bench.report import Figure, Goal, Plot, Report, Series, Table
from undertone_bench.spread import Spread, quantile
from undertone_bench.taking import Taking

_RAMP_SECONDS: Final = 4.0
"""Until a job's client has found its limit and the job is under way."""

_SUPPLY: Final = 2048
_PARTS: Final = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class _Round:
    """Latencies in seconds of readers alone and beside the job, and the tokens a second, padding included, that the model
    server gets of the job alone and beside readers.

    Of the job's paragraphs, those of one length are answered together, sooner or later: in some seconds they are many or few.
    """

    online_alone: tuple[float, ...]
    online_beside: tuple[float, ...]
    batch_alone: float
    batch_beside: float
    unanswered: int


class _Job:
    """A stream of paragraphs through the client, as the `undertone score` command has it: the lane `batch`."""

    def __init__(self, client: Client, paragraphs: Sequence[Paragraph]) -> None:
        self._client = client
        self._texts = [paragraph.text for paragraph in paragraphs]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Under way from the start of the block, until its end. Raises BenchError if a paragraph fails."""
        task = asyncio.create_task(self._run())
        try:
            await asyncio.sleep(_RAMP_SECONDS)
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
                if isinstance(outcome, Failure):
                    raise BenchError(f"a paragraph failed: {outcome.status.name}: {outcome.reason}")


def lanes(taking: Taking, *, load: float, seconds: float) -> Report:
    """In each round: the job alone, readers alone, both; readers come by Poisson arrivals at `load` (a part of one) of the rate
    that the job reaches alone, for so many `seconds`."""
    with running(taking.model, taking.flags) as pod, asyncio.Runner() as runner:
        rounds, rate = runner.run(_rounds(taking, pod, load, seconds))
    return _report(taking, rounds, rate, load)


async def _rounds(taking: Taking, pod: Pod, load: float, seconds: float) -> tuple[list[_Round], float]:
    caller = Caller(pod.target)
    rounds = []
    rate = 0.0
    async with Client(pod.target, settings=PATIENT) as client:
        job = _Job(client, taking.paragraphs(_SUPPLY))
        async with job.running():
            await asyncio.sleep(seconds / 2)  # the first calls at new lengths are slow
        for number in range(taking.rounds):
            async with job.running():
                batch_alone = await _rate(pod, asyncio.sleep(seconds))
            if not batch_alone:
                raise BenchError(f"the job made no call in {seconds:g} s; give it longer with --seconds")
            rate = rate or load * batch_alone / _tokens(taking)
            times = poisson(rate, seconds, random.Random(number))
            readers = taking.paragraphs(max(1, len(times)), seed=100 + number)
            alone: list[Answer[Paragraph]] = []
            online = await _rate(pod, _read(caller, readers, times, alone))
            beside: list[Answer[Paragraph]] = []
            async with job.running():
                batch_beside = await _rate(pod, _read(caller, readers, times, beside)) - online
            rounds.append(
                _Round(_seconds(alone), _seconds(beside), batch_alone, batch_beside, sum(not a.ok for a in [*alone, *beside]))
            )
            print(
                f"round {number + 1}: readers p99 {quantile(_seconds(alone), 0.99) * 1e3:.0f} ms alone, "
                f"{quantile(_seconds(beside), 0.99) * 1e3:.0f} ms beside the job; job {batch_alone:.0f} tokens/s alone, "
                f"{batch_beside:.0f} beside {rate:.1f} readers/s",
                flush=True,
            )
    await caller.close()
    return rounds, rate


async def _rate(pod: Pod, work: Awaitable[None]) -> float:
    """Padded tokens a second that go to the model server during the `work`."""
    before, started = await asyncio.to_thread(pod.padded_tokens), time.perf_counter()
    await work
    seconds = time.perf_counter() - started
    return (await asyncio.to_thread(pod.padded_tokens) - before) / seconds


async def _read(caller: Caller, readers: Sequence[Paragraph], times: Sequence[float], answers: list[Answer[Paragraph]]) -> None:
    answers += await open_loop(caller, readers, times)


def _tokens(taking: Taking) -> float:
    """Of a paragraph, on average."""
    texts = [paragraph.text for paragraph in taking.paragraphs(_SUPPLY)]
    return sum(taking.model.lengths(texts)) / len(texts)


def _seconds(answers: Sequence[Answer[Paragraph]]) -> tuple[float, ...]:
    return tuple(answer.seconds for answer in answers)


def _report(taking: Taking, rounds: Sequence[_Round], rate: float, load: float) -> Report:
    def over(name: str, part: float) -> list[float]:
        return [quantile(getattr(one, name), part) * 1e3 for one in rounds]

    alone, beside = over("online_alone", 0.99), over("online_beside", 0.99)
    jobs_alone, jobs_beside = [one.batch_alone for one in rounds], [one.batch_beside for one in rounds]
    return taking.report(
        "lanes",
        table=Table(
            ("", "readers p50 ms", "p90", "p99", "job, tokens/s"),
            (
                ("alone", *(f"{Spread.of(over('online_alone', p)):.0f}" for p in _PARTS), f"{Spread.of(jobs_alone):.0f}"),
                ("together", *(f"{Spread.of(over('online_beside', p)):.0f}" for p in _PARTS), f"{Spread.of(jobs_beside):.0f}"),
            ),
        ),
        figures=(
            Figure(f"readers a second ({load:.0%} of the job's rate)", Spread.of([rate]), ".1f"),
            Figure("p99 of readers: beside the job / alone", Spread.of_ratios(beside, alone), ".2f", Goal("at most", 2.0)),
            Figure(
                "rate of the job: beside readers / alone",
                Spread.of_ratios(jobs_beside, jobs_alone),
                ".2f",
                Goal("at least", 0.8),
            ),
            Figure("readers not answered", Spread.of(float(one.unanswered) for one in rounds), ".0f"),
        ),
        plot=Plot(
            f"{taking.model.label}: readers' latency",
            "part of the readers",
            "ms, at most",
            tuple(
                _distribution(rounds, name, label)
                for name, label in (("online_alone", "alone"), ("online_beside", "beside a job"))
            ),
        ),
        raw=rounds,
    )


def _distribution(rounds: Sequence[_Round], name: str, label: str) -> Series:
    everything = [seconds for one in rounds for seconds in getattr(one, name)]
    parts = tuple(index / 100 for index in range(100))
    return Series(label, parts, tuple(quantile(everything, part) * 1e3 for part in parts))
