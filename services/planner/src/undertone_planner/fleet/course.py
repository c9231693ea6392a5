"""The course of a fleet over time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from undertone_planner.fleet.fleet import Fleet


class Progress(Protocol):
    """A job, such as `loads.Job`."""

    answered: int
    """Answered paragraphs so far."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A fleet at one time.

    seconds: time of the clock.
    pods, ready: pods that exist, and those of them that are ready.
    nodes: nodes that run or boot.
    answered: paragraphs of jobs that are answered so far.
    in_flight: calls in pods.
    """

    seconds: float
    pods: int
    ready: int
    nodes: int
    answered: int
    in_flight: int


class Course:
    """Samples a fleet in intervals. Use as `async with Course(fleet, jobs, ...) as course`."""

    def __init__(self, fleet: Fleet, jobs: Sequence[Progress] = (), *, interval_seconds: float = 15.0) -> None:
        self.samples: list[Sample] = []
        self._fleet = fleet
        self._jobs = jobs
        self._interval = interval_seconds

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._sample(), name="course")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.add()

    def add(self) -> None:
        """Add a sample of now."""
        fleet = self._fleet
        nodes = 0 if fleet.nodes is None else len(fleet.nodes.nodes) + fleet.nodes.booting
        self.samples.append(
            Sample(
                seconds=asyncio.get_running_loop().time(),
                pods=len(fleet.pods),
                ready=sum(pod.ready for pod in fleet.pods),
                nodes=nodes,
                answered=sum(job.answered for job in self._jobs),
                in_flight=sum(pod.in_flight for pod in fleet.pods),
            )
        )

    def rate(self, since: float, until: float) -> float:
        """Answered paragraphs per second between the samples nearest to two times."""
        first, last = (min(self.samples, key=lambda sample: abs(sample.seconds - time)) for time in (since, until))
        return (last.answered - first.answered) / (last.seconds - first.seconds)

    def seconds_until_ready(self, pods: int) -> float | None:
        """Time of the first sample with this many ready pods. None if there is none."""
        return next((sample.seconds for sample in self.samples if sample.ready >= pods), None)

    async def _sample(self) -> None:
        while True:
            self.add()
            await asyncio.sleep(self._interval)
