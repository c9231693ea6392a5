"""The course of a batch job in closed form: how the fleet grows, and when the job ends.

The autoscaler sees saturated pods. Pods that are not ready count as idle, so that it asks for
`growth` times the ready pods, and for more only when these are ready. The fleet model simulates the
same; see `undertone_planner.plan.simulation`.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

SYNC_SECONDS: Final = 15.0
"""The period of the HorizontalPodAutoscaler."""
SCALE_DOWN_WINDOW_SECONDS: Final = 300.0
SCALE_DOWN_PERIOD_SECONDS: Final = 60.0
SCALE_DOWN_SHARE: Final = 0.1
"""The chart's `autoscaling.behavior.scaleDown`: 10 % of the pods a minute, after five minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The fleet and the job at a time.

    Attributes:
        seconds: Since the start of the job.
        pods: Ready pods.
        paragraphs_per_second: Throughput from this time on.
        backlog: Paragraphs that are not scored.
    """

    seconds: float
    pods: int
    paragraphs_per_second: float
    backlog: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """How a fleet grows while it is saturated.

    Attributes:
        start: Ready pods at the start of the job.
        target: The largest number of pods.
        growth: Pods that the autoscaler asks for, as a multiple of the ready pods. Above 1.
        step_seconds: From the request for pods until they are ready: nodes, images, model.
    """

    start: int
    target: int
    growth: float
    step_seconds: float

    def stages(self) -> Iterator[tuple[float, int]]:
        """Times and the number of ready pods from then on, the start included."""
        seconds, pods = 0.0, min(self.start, self.target)
        yield seconds, pods
        while pods < self.target:
            pods = min(self.target, max(pods + 1, math.ceil(pods * self.growth)))
            seconds += SYNC_SECONDS + self.step_seconds
            yield seconds, pods

    @property
    def seconds(self) -> float:
        """Time until all pods are ready."""
        return [seconds for seconds, _ in self.stages()][-1]


def course(ramp: Ramp, paragraphs: float, throughput_of: Callable[[int], float]) -> tuple[Point, ...]:
    """The course of a job of `paragraphs`. The last point is the end of the job.

    A ramp that starts without pods starts with one, after one step.

    Args:
        ramp: The growth of the fleet.
        paragraphs: The size of the job.
        throughput_of: Paragraphs a second of a number of ready pods.

    Raises:
        ValueError: All pods together do not score anything.
    """
    points: list[Point] = []
    stages = list(ramp.stages())
    backlog = float(paragraphs)
    for index, (seconds, pods) in enumerate(stages):
        throughput = throughput_of(pods)
        points.append(Point(seconds=seconds, pods=pods, paragraphs_per_second=throughput, backlog=backlog))
        until = stages[index + 1][0] if index + 1 < len(stages) else math.inf
        done = throughput * (until - seconds) if throughput else 0.0
        if throughput and done >= backlog:
            end = seconds + backlog / throughput
            return (*points, Point(seconds=end, pods=pods, paragraphs_per_second=0.0, backlog=0.0))
        backlog -= done
    raise ValueError(f"{ramp.target} pods never finish the job")


def node_seconds(points: Sequence[Point], *, per_node: int, lead_seconds: float, idle: int) -> float:
    """Seconds of nodes that a job needs, from its start until the fleet is small again.

    Args:
        points: The course of the job.
        per_node: Pods of a node.
        lead_seconds: Time for which a new node exists before its pods are ready.
        idle: Pods that remain after the job.
    """
    total = 0.0
    for before, after in itertools.pairwise(points):
        nodes, more = math.ceil(before.pods / per_node), math.ceil(after.pods / per_node)
        total += nodes * (after.seconds - before.seconds) + max(0, more - nodes) * lead_seconds
    pods = points[-1].pods
    total += math.ceil(pods / per_node) * SCALE_DOWN_WINDOW_SECONDS if pods > idle else 0.0
    while pods > idle:
        pods = max(idle, min(pods - 1, math.floor(pods * (1 - SCALE_DOWN_SHARE))))
        total += math.ceil(pods / per_node) * SCALE_DOWN_PERIOD_SECONDS if pods > idle else 0.0
    return total
