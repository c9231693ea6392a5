"""What a number of pods can do under a load, in closed form."""

import math
from dataclasses import dataclass
from typing import Final

from undertone_planner.plan.batch_course import Point, Ramp, course
from undertone_planner.plan.load import Batch, Load, Readers
from undertone_planner.plan.plan import Setting
from undertone_planner.plan.pod_speed import PodSpeed
from undertone_planner.plan.waiting import p99_seconds

FULL_CALLS: Final = 5.0
"""Calls in flight for each call that a pod computes, so that few pods are idle.

The load balancer chooses between two random pods, so that the calls are not spread evenly. The
fleet model measures the effect of fewer calls.
"""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The capacity of pods of `speed` under `load`."""

    setting: Setting
    load: Load
    speed: PodSpeed

    def throughput(self, pods: int) -> float:
        """Paragraphs a second of `pods` pods in the batch lane, which has what readers leave."""
        free, speed, lengths = float(pods), self.speed, self.load.lengths
        if self.load.readers is not None:
            free -= self.load.readers.per_second / speed.reader_rate(lengths)
            speed = speed.beside_readers(lengths)
        return max(0.0, free) * speed.batch_rate(lengths) * self.setting.availability

    def ramp(self, pods: int, start: int) -> Ramp:
        """The growth of a saturated fleet from `start` to `pods` pods."""
        setting = self.setting
        return Ramp(start=min(start, pods), target=pods, growth=setting.growth, step_seconds=setting.step_seconds)

    def course(self, batch: Batch, pods: int, start: int) -> tuple[Point, ...]:
        """The course of the batch job with at most `pods` pods."""
        return course(self.ramp(pods, start), batch.paragraphs, self.throughput)

    def batch_seconds(self, batch: Batch, pods: int, start: int) -> float:
        """Duration of the batch job. Infinite if readers need all pods."""
        return self.course(batch, pods, start)[-1].seconds if self.throughput(pods) > 0 else math.inf

    def p99(self, readers: Readers, pods: int) -> float:
        """99th percentile of the duration of readers' calls at `pods` pods."""
        return self.pod_p99(readers.per_second / pods, beside_batch=self.load.batch is not None)

    def pod_p99(self, calls_per_second: float, *, beside_batch: bool) -> float:
        """99th percentile of the duration of readers' calls for a load of one pod."""
        lengths = self.load.lengths
        busy = self.speed.beside_readers(lengths).full_call_seconds if beside_batch else 0.0
        return p99_seconds(self.speed, lengths, calls_per_second, busy_seconds=busy)

    def pods_of_client(self, batch: Batch) -> float:
        """Pods that one client keeps busy with its concurrency limit."""
        computed_at_once = self.speed.model_calls * self.speed.batch_tokens / self.load.lengths.mean
        return batch.max_in_flight / (FULL_CALLS * max(1.0, computed_at_once / batch.call_paragraphs))

    def clients(self, batch: Batch, pods: int) -> int:
        """Clients that keep these pods busy, or those that are given."""
        return batch.clients or math.ceil(pods / self.pods_of_client(batch))

    def cpu_percent(self, readers: Readers, pods: int) -> int:
        """The target at which the autoscaler keeps `pods` pods under the load of the readers."""
        busy = readers.per_second / (pods * self.speed.reader_rate(self.load.lengths))
        used = 100 * busy * self.setting.values.model_cpu_limit / self.setting.values.model_cpu_request
        # Rounded up: with a lower target, the autoscaler would add pods in the steady state.
        return max(1, min(self.setting.values.cpu_percent, math.ceil(used)))
