"""Envoy's load balancer as the chart configures it: least request of two random pods, and retries.

Envoy compares the active requests of `choices` random pods, the power of two choices
(envoy.extensions.load_balancing_policies.least_request.v3). The pods of the chart have equal
weights. Each Envoy counts its own requests only; the model has one Envoy.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class BalancerSettings:
    """Settings of the load balancer.

    choices: random pods that are compared. Envoy's default is 2.
    retries: repetitions of a call that fails with UNAVAILABLE, on another pod if there is one. The
        chart's Envoy repeats twice; 0 leaves all retries to the client.
    retry_budget: maximum share of the calls in flight that are repetitions.
    retry_minimum: repetitions in flight that are always allowed.
    ejection_failures: consecutive failed connections after which a pod gets no calls. None: never.
    ejection_seconds: duration of a pod's first ejection.
    ejection_interval_seconds: time between two evaluations, at which ejections end.
    ejection_share: maximum share of the pods that are ejected. One always can be.
    """

    choices: int = 2
    retries: int = 0
    retry_budget: float = 0.6
    retry_minimum: int = 64
    ejection_failures: int | None = None
    ejection_seconds: float = 10.0
    ejection_interval_seconds: float = 10.0
    ejection_share: float = 0.3


CHART_BALANCER: Final = BalancerSettings(retries=2, ejection_failures=5)
"""loadBalancer.envoy of the chart's values."""


class Endpoint(Protocol):
    """A pod as the load balancer sees it."""

    active: int
    """Calls in flight through this load balancer."""


E = TypeVar("E", bound=Endpoint)


def choose(endpoints: Sequence[E], settings: BalancerSettings, random: random.Random, avoid: Collection[E] = ()) -> E | None:
    """The endpoint of the next call. None if there is none.

    `avoid` has endpoints that were tried before. They are chosen only if there are no others.
    """
    if avoid:
        endpoints = [endpoint for endpoint in endpoints if endpoint not in avoid] or endpoints
    if not endpoints:
        return None
    best = endpoints[int(random.random() * len(endpoints))]
    for _ in range(settings.choices - 1):
        other = endpoints[int(random.random() * len(endpoints))]
        if other.active < best.active:
            best = other
    return best


class RetryGate:
    """Bounds the repetitions in flight."""

    def __init__(self, settings: BalancerSettings) -> None:
        self._settings = settings
        self.calls = 0
        self.retries = 0

    @property
    def is_open(self) -> bool:
        """Whether another repetition may start."""
        allowed = max(self._settings.retry_minimum, self._settings.retry_budget * self.calls)
        return self.retries < allowed
