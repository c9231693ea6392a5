"""The computation of the HorizontalPodAutoscaler (autoscaling/v2).

Source: Kubernetes, pkg/controller/podautoscaler/replica_calculator.go (GetResourceReplicas,
groupPods, GetExternalMetricReplicas, GetExternalPerPodMetricReplicas), and the documentation
"Horizontal Pod Autoscaling", Algorithm details. `scaling_rules` has the limits of each step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from undertone_planner.fleet.scaling_rules import Behavior, RateLimits

CPU_INITIALIZATION_SECONDS: Final = 300.0
"""Default of --horizontal-pod-autoscaler-cpu-initialization-period."""


@dataclass(frozen=True, slots=True)
class AutoscalerSettings:
    """Settings of a HorizontalPodAutoscaler.

    target_utilization: mean CPU utilization to hold, as a share of the pods' requests. None scales
        by other metrics only.
    tolerance: deviation of utilization / target from 1 that causes no scaling.
    sync_seconds: period of the control loop. Utilization is the mean over one period.
    behavior: limits of each step.
    """

    target_utilization: float | None = 0.7
    tolerance: float = 0.1
    min_replicas: int = 1
    max_replicas: int = 100
    sync_seconds: float = 15.0
    behavior: Behavior = field(default_factory=Behavior)


@dataclass(frozen=True, slots=True)
class PodMetric:
    """A pod as the autoscaler sees it.

    utilization: mean CPU utilization of the last period. None without a measurement: the pod is not
        scheduled, or its container was not running for the whole period.
    ready: the pod's condition.
    pending: no container of the pod has started yet.
    age_seconds: since the pod was created on its node.
    ready_changed_seconds: since `ready` has changed.
    was_ready: the pod has been ready before.
    """

    utilization: float | None
    ready: bool = True
    pending: bool = False
    age_seconds: float = math.inf
    ready_changed_seconds: float = math.inf
    was_ready: bool = True


class Autoscaler:
    """Computes the number of replicas once per `sync_seconds`."""

    def __init__(self, settings: AutoscalerSettings) -> None:
        self.settings = settings
        self._limits = RateLimits(settings.behavior)

    def desired_replicas(
        self, now: float, replicas: int, pods: Sequence[PodMetric], proposals: Sequence[int | None] = ()
    ) -> int:
        """The new number of replicas.

        Args:
            now: time in seconds.
            replicas: the present number. 0 turns the autoscaler off, as in Kubernetes.
            pods: the pods that are not being deleted.
            proposals: numbers of replicas by further metrics. None: the metric has no value.
        """
        if replicas == 0:
            return 0
        if self.settings.target_utilization is not None:
            proposals = (self._by_utilization(replicas, pods), *proposals)
        known = [proposal for proposal in proposals if proposal is not None]
        recommended = max(known, default=replicas)
        if len(known) < len(proposals):  # an unknown metric forbids scaling down
            recommended = max(recommended, replicas)
        low, high = self.settings.min_replicas, self.settings.max_replicas
        if not low <= replicas <= high:
            return min(max(replicas, low), high)
        return self._limits.apply(now, replicas, recommended, low, high)

    def by_average(self, replicas: int, value: float, target: float) -> int:
        """Replicas for an external metric of the type AverageValue: `target` per pod."""
        if self._is_within_tolerance(value / (target * replicas)):
            return replicas
        return math.ceil(value / target)

    def by_value(self, replicas: int, ready: int, value: float, target: float) -> int:
        """Replicas for an external metric of the type Value, which is not divided by the pods."""
        if self._is_within_tolerance(value / target):
            return replicas
        return math.ceil(value / target * ready)

    def _by_utilization(self, replicas: int, pods: Sequence[PodMetric]) -> int | None:
        """Replicas for the CPU utilization. None without a measurement of a ready pod."""
        used: list[float] = []
        unready = missing = 0
        for pod in pods:
            if pod.pending:
                unready += 1
            elif pod.utilization is None:
                missing += 1
            elif _is_unready(pod, self.settings.sync_seconds):
                unready += 1
            else:
                used.append(pod.utilization)
        if not used:
            return None
        ratio = self._ratio(used, len(used))
        counted = len(used)
        if missing or (unready and ratio > 1):
            # Unknown pods count so that they slow the change down: as idle when scaling up, as
            # fully used when scaling down.
            if ratio < 1:
                used.extend([max(1.0, self.settings.target_utilization or 0.0)] * missing)
                counted += missing
            elif ratio > 1:
                counted += missing + unready
            before, ratio = ratio, self._ratio(used, counted)
            if (before - 1) * (ratio - 1) < 0:
                return replicas
        if self._is_within_tolerance(ratio):
            return replicas
        desired = math.ceil(ratio * counted)
        if missing or unready:
            # The number of counted pods must not reverse the direction either.
            desired = min(desired, replicas) if ratio < 1 else max(desired, replicas)
        return desired

    def _is_within_tolerance(self, ratio: float) -> bool:
        return 1 - self.settings.tolerance <= ratio <= 1 + self.settings.tolerance

    def _ratio(self, used: Sequence[float], counted: int) -> float:
        """Utilization / target. Kubernetes truncates the utilization to whole percents."""
        target = round(100 * (self.settings.target_utilization or 1.0))
        return int(100 * sum(used) / counted + 1e-9) / target


def _is_unready(pod: PodMetric, window_seconds: float) -> bool:
    if pod.age_seconds < CPU_INITIALIZATION_SECONDS:
        # A measurement from before the pod was ready says little: it includes the start.
        return not pod.ready or pod.ready_changed_seconds < window_seconds
    return not pod.ready and not pod.was_ready
