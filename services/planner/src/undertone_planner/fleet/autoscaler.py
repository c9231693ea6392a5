"""The algorithm of the HorizontalPodAutoscaler (autoscaling/v2) for CPU utilization.

Source: Kubernetes documentation, "Horizontal Pod Autoscaling", Algorithm details. It models the
ratio of mean utilization to the target; the tolerance; pods that are not ready and count as idle
when scaling up; the minimum and maximum; the default policy for scaling up (at most the larger of
doubling and four pods per period); and the stabilization window for scaling down.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AutoscalerSettings:
    """Settings of a HorizontalPodAutoscaler.

    target_utilization: mean CPU utilization to hold, as a share of the pods' requests.
    tolerance: deviation of utilization / target from 1 that causes no scaling.
    sync_seconds: period of the control loop. Utilization is the mean over one period.
    stabilization_seconds: scaling down follows the highest recommendation of this window.
    """

    target_utilization: float = 0.7
    tolerance: float = 0.1
    min_replicas: int = 1
    max_replicas: int = 100
    sync_seconds: float = 15.0
    stabilization_seconds: float = 300.0


class Autoscaler:
    """Computes the number of replicas once per `sync_seconds`."""

    def __init__(self, settings: AutoscalerSettings) -> None:
        self.settings = settings
        self._recommendations: deque[tuple[float, int]] = deque()

    def desired_replicas(self, now: float, pods: int, utilizations: Sequence[float]) -> int:
        """The new number of replicas.

        `pods` is the number of existing pods, `utilizations` has the utilization of each ready pod.
        """
        desired = self._recommend(pods, utilizations)
        self._recommendations.append((now, desired))
        while self._recommendations[0][0] < now - self.settings.stabilization_seconds:
            self._recommendations.popleft()
        if desired < pods:
            desired = min(pods, max(recommended for _, recommended in self._recommendations))
        return max(self.settings.min_replicas, min(self.settings.max_replicas, desired, max(2 * pods, pods + 4)))

    def _recommend(self, pods: int, utilizations: Sequence[float]) -> int:
        if not utilizations:
            return pods  # without metrics, Kubernetes does not scale
        total = sum(utilizations)
        ratio = total / len(utilizations) / self.settings.target_utilization
        counted = len(utilizations)
        if ratio > 1 and counted < pods:
            counted = pods
            ratio = total / counted / self.settings.target_utilization
            if ratio < 1:
                return pods  # idle pods that are not ready would reverse the direction
        if abs(ratio - 1) <= self.settings.tolerance:
            return pods
        return math.ceil(ratio * counted)
