"""Measurement of one setup of a pod."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from undertone_bench.batch_job import batch_rates
from undertone_bench.deadline_load import NEVER, DeadlineLoad, server_rate
from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.options import progress
from undertone_bench.other_programs import OtherPrograms
from undertone_bench.pods import Pod, running_pod
from undertone_bench.processes import first_cpus
from undertone_bench.tuning.pod_setup import PodSetup
from undertone_bench.tuning.search import Search

_PARAGRAPHS: Final = 1024
_CALLERS: Final = 64
_BISECTIONS: Final = 3
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Objective:
    """What is maximized: the rate of paragraphs for each CPU.

    Attributes:
        name: MLPerf's name of the scenario. offline: a batch job's rate. server: the highest
            Poisson rate of single paragraphs whose p99 latency is within the bound.
        p99: The bound in seconds.
    """

    name: str
    p99: float

    def __str__(self) -> str:
        return self.name if self.name == "offline" else f"server, p99 at most {self.p99:g} s"


@dataclass(frozen=True, slots=True)
class Trial:
    """A setup and its paragraphs per second. 0 means that the pod failed.

    `other_cpus` is the mean number of CPUs that other programs used meanwhile.
    """

    setup: PodSetup
    rate: float
    other_cpus: float = 0.0

    @property
    def rate_per_cpu(self) -> float:
        return self.rate / self.setup.cpus


def measure(experiment: Experiment, setup: PodSetup, objective: Objective, seconds: float) -> Trial:
    """Start a pod with this setup, and measure it."""
    paragraphs = experiment.paragraphs(_PARAGRAPHS)

    async def rate(pod: Pod) -> float:
        if objective.name == "offline":
            tokens = sum(experiment.model.lengths([paragraph.text for paragraph in paragraphs]))
            return (await batch_rates(pod, paragraphs, tokens, seconds))[1]
        load = DeadlineLoad(pod.target, paragraphs, pod.pids)
        try:
            capacity = (await load.closed_loop(_CALLERS, [NEVER], seconds)).goodput
            return await server_rate(load, capacity, objective.p99, _BISECTIONS, seconds)
        finally:
            await load.close()

    flags = [*experiment.sidecar_flags, *setup.sidecar_flags]
    others, found = OtherPrograms(), 0.0
    try:
        with running_pod(experiment.model, flags, cpus=first_cpus(setup.cpus), variables=setup.variables) as pod:
            found = asyncio.run(rate(pod))
    except BenchError as error:
        progress(f"{setup}: failed: {error}")
    return Trial(setup, found, others.cpus())


def measure_undisturbed(measured: Callable[[], Trial], limit: float) -> Trial:
    """The first of at most three trials during which other programs used at most `limit` CPUs.

    If there is none, that during which they used the fewest.
    """
    trials = [measured()]
    while (others := trials[-1].other_cpus) > limit and len(trials) < _ATTEMPTS:
        progress(f"other programs used {others:.2f} CPUs, more than {limit:g}: measure again")
        trials.append(measured())
    return min(trials, key=lambda trial: trial.other_cpus)


def search(setups: Sequence[PodSetup], measured: Callable[[PodSetup], Trial], count: int) -> list[Trial]:
    """`count` trials that `Search` chooses, in the order of their measurement."""
    chosen, trials = Search([setup.features for setup in setups]), list[Trial]()
    while len(trials) < count and (index := chosen.propose()) is not None:
        trials.append(measured(setups[index]))
        chosen.record(index, trials[-1].rate_per_cpu)
    return trials
