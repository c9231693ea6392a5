"""Envoy's outlier detection: pods whose connections fail get no calls for a time.

Envoy ejects a host after a number of consecutive failures of its connections. The ejection takes
`ejection_seconds` times the number of the host's ejections, and ends at the next evaluation
(envoy.config.cluster.v3.OutlierDetection). A passed health check does not end it, because the chart
sets successful_active_health_check_uneject_host to false.
"""

import math
from collections import Counter
from collections.abc import Hashable

from undertone_planner.fleet.balancer import BalancerSettings


class Outliers:
    """Counts failures, and decides about ejections. Without a clock."""

    def __init__(self, settings: BalancerSettings) -> None:
        self._settings = settings
        self._failures: Counter[Hashable] = Counter()
        self._ejections: Counter[Hashable] = Counter()
        self._ejected: set[Hashable] = set()

    def is_ejected(self, pod: Hashable) -> bool:
        return pod in self._ejected

    def answered(self, pod: Hashable) -> None:
        """A connection to the pod worked."""
        if self._failures:
            self._failures.pop(pod, None)

    def failed(self, pod: Hashable, now: float, pods: int) -> float | None:
        """A connection to the pod failed. Returns the end of its ejection if this ejects it.

        `pods` is the number of pods that the load balancer knows.
        """
        settings = self._settings
        if settings.ejection_failures is None or pod in self._ejected:
            return None
        self._failures[pod] += 1
        if self._failures[pod] < settings.ejection_failures:
            return None
        if self._ejected and (len(self._ejected) + 1) > settings.ejection_share * pods:
            return None
        del self._failures[pod]
        self._ejected.add(pod)
        self._ejections[pod] += 1
        end = now + settings.ejection_seconds * self._ejections[pod]
        return math.ceil(end / settings.ejection_interval_seconds) * settings.ejection_interval_seconds

    def restore(self, pod: Hashable) -> None:
        """End the ejection of the pod."""
        self._ejected.discard(pod)
