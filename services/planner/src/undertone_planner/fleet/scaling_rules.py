"""Limits on how fast a HorizontalPodAutoscaler changes the number of pods.

Source: Kubernetes, pkg/controller/podautoscaler/horizontal.go, in the functions
recordInitialRecommendation, stabilizeRecommendationWithBehaviors and
convertDesiredReplicasWithBehaviorRate.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Policy:
    """At most `value` pods, or `value` percent of the pods, per period."""

    kind: Literal["Pods", "Percent"]
    value: int
    period_seconds: float


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """The rules of one direction, as in HPAScalingRules of autoscaling/v2.

    stabilization_seconds: the safest recommendation of this window is used: the lowest for scaling
        up, the highest for scaling down.
    select: the policy that applies: the one with the largest change (Max) or the smallest (Min).
    """

    policies: tuple[Policy, ...]
    stabilization_seconds: float = 0.0
    select: Literal["Max", "Min"] = "Max"


@dataclass(frozen=True, slots=True)
class Behavior:
    """The rules of both directions. The defaults are those of Kubernetes."""

    up: ScalingRules = ScalingRules((Policy("Percent", 100, 15), Policy("Pods", 4, 15)))
    down: ScalingRules = ScalingRules((Policy("Percent", 100, 15),), stabilization_seconds=300)


CHART_BEHAVIOR: Final = Behavior(
    down=ScalingRules((Policy("Percent", 10, 60),), stabilization_seconds=300, select="Min"),
)
"""autoscaling.behavior of the chart's values."""


class RateLimits:
    """Applies a behavior to recommendations. It remembers them and the changes of the past."""

    def __init__(self, behavior: Behavior) -> None:
        self._behavior = behavior
        self._recommendations: deque[tuple[float, int]] | None = None
        self._added: deque[tuple[float, int]] = deque()
        self._removed: deque[tuple[float, int]] = deque()

    def apply(self, now: float, current: int, recommended: int, minimum: int, maximum: int) -> int:
        """The new number of pods, which then counts as a change of the past."""
        desired = self._limit(now, current, self._stabilize(now, current, recommended), minimum, maximum)
        if desired > current:
            self._added.append((now, desired - current))
        elif desired < current:
            self._removed.append((now, current - desired))
        return desired

    def _stabilize(self, now: float, current: int, recommended: int) -> int:
        up, down = self._behavior.up.stabilization_seconds, self._behavior.down.stabilization_seconds
        if self._recommendations is None:
            # The present number of pods counts as the recommendation before the first one.
            self._recommendations = deque([(now, current)])
        past = self._recommendations
        while past and past[0][0] < now - max(up, down):
            past.popleft()
        lowest = min((value for time, value in past if time > now - up), default=recommended)
        highest = max((value for time, value in past if time > now - down), default=recommended)
        past.append((now, recommended))
        return min(max(current, min(lowest, recommended)), max(highest, recommended))

    def _limit(self, now: float, current: int, desired: int, minimum: int, maximum: int) -> int:
        _forget(self._added, now, self._behavior)
        _forget(self._removed, now, self._behavior)
        if desired > current:
            limits = [self._start(now, current, policy) for policy in self._behavior.up.policies]
            proposed = [
                start + policy.value if policy.kind == "Pods" else math.ceil(start * (1 + policy.value / 100))
                for start, policy in zip(limits, self._behavior.up.policies, strict=True)
            ]
            allowed = (max if self._behavior.up.select == "Max" else min)(proposed)
            return min(desired, maximum, max(allowed, current))
        if desired < current:
            limits = [self._start(now, current, policy) for policy in self._behavior.down.policies]
            proposed = [
                start - policy.value if policy.kind == "Pods" else int(start * (1 - policy.value / 100))
                for start, policy in zip(limits, self._behavior.down.policies, strict=True)
            ]
            allowed = (min if self._behavior.down.select == "Max" else max)(proposed)
            return max(desired, minimum, min(allowed, current))
        return desired

    def _start(self, now: float, current: int, policy: Policy) -> int:
        """The number of pods at the start of the current period of a policy."""
        since = now - policy.period_seconds
        return current - _sum_since(self._added, since) + _sum_since(self._removed, since)


def _sum_since(changes: Iterable[tuple[float, int]], since: float) -> int:
    return sum(count for time, count in changes if time > since)


def _forget(changes: deque[tuple[float, int]], now: float, behavior: Behavior) -> None:
    longest = max(policy.period_seconds for policy in (*behavior.up.policies, *behavior.down.policies))
    while changes and changes[0][0] <= now - longest:
        changes.popleft()
