"""The HorizontalPodAutoscaler's arithmetic (autoscaling/v2, CPU utilisation), without its clock.

Source: the Kubernetes documentation, "Horizontal Pod Autoscaling", Algorithm details. What is modelled: the ratio of the mean
utilisation to the target; the tolerance; pods that are not ready yet, which count as idle where the ratio would add pods, so
that a fleet that is still starting is not scaled again; the bounds; the default policies (at most the larger of doubling and
four pods more in a period up); and the stabilisation window down (the highest recommendation within it is followed).
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AutoscalerSettings:
    """target: mean utilisation to be held, of what a pod requests. tolerance: of the ratio to it, that is let be.

    sync_seconds: from one look to the next; utilisation is the mean since the last.
    stabilisation_seconds: how long the fleet must have been too large before it shrinks.
    """

    target: float = 0.7
    tolerance: float = 0.1
    least: int = 1
    most: int = 100
    sync_seconds: float = 15.0
    stabilisation_seconds: float = 300.0


class Autoscaler:
    """How many pods there should be, asked once in every `sync_seconds`."""

    def __init__(self, settings: AutoscalerSettings) -> None:
        self.settings = settings
        self._recommended: deque[tuple[float, int]] = deque()

    def desired(self, now: float, pods: int, utilisations: Sequence[float]) -> int:
        """The replicas to have from `now` on, where `pods` exist, and `utilisations` are those of the ready ones."""
        raw = self._recommend(pods, utilisations)
        self._recommended.append((now, raw))
        while self._recommended[0][0] < now - self.settings.stabilisation_seconds:
            self._recommended.popleft()
        if raw < pods:
            raw = min(pods, max(recommended for _, recommended in self._recommended))
        return max(self.settings.least, min(self.settings.most, raw, max(2 * pods, pods + 4)))

    def _recommend(self, pods: int, utilisations: Sequence[float]) -> int:
        if not utilisations:
            return pods  # no metrics, no opinion
        total = sum(utilisations)
        ratio = total / len(utilisations) / self.settings.target
        counted = len(utilisations)
        if ratio > 1 and counted < pods:
            counted = pods
            ratio = total / counted / self.settings.target
            if ratio < 1:
                return pods  # counting the rest as idle turned the direction round
        if abs(ratio - 1) <= self.settings.tolerance:
            return pods
        return math.ceil(ratio * counted)
