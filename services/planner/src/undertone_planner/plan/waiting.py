"""The duration of readers' calls in closed form.

Calls arrive at a pod at random, wait for one of its slots in order, and are not batched: a queue of
the kind M/G/c. The probability to wait is Erlang's C. The wait of a call that waits is exponential,
with the mean of Allen and Cunneen. The load balancer's least request is better than this random
choice, so that the result is an upper bound in most cases.

Beside a batch job, all slots are busy with calls of the batch lane, which are short but are not
interrupted. A reader then also waits for the first of these calls to end.
"""

import itertools
import math
from collections.abc import Callable
from typing import Final

from undertone_planner.plan.lengths import Lengths
from undertone_planner.plan.pod_speed import PodSpeed

P99: Final = 0.99
_STEPS: Final = 50
_RESIDUALS: Final = 32
_BUCKETS: Final = 64


def erlang_c(slots: int, utilization: float) -> float:
    """Probability that a call waits for one of `slots` slots of this utilization (0 to 1)."""
    if utilization >= 1:
        return 1.0
    offered = slots * utilization
    blocked = 1.0
    for slot in range(1, slots + 1):
        blocked = offered * blocked / (slot + offered * blocked)
    return blocked / (1 - utilization * (1 - blocked))


def p99_seconds(speed: PodSpeed, lengths: Lengths, calls_per_second: float, *, busy_seconds: float = 0.0) -> float:
    """99th percentile of the duration of a call. Infinite if the pod cannot compute all calls.

    Args:
        speed: The speed of the pod.
        lengths: The lengths of the readers' paragraphs.
        calls_per_second: Calls at the pod.
        busy_seconds: Duration of the calls of the batch lane that keep all slots busy. 0 if there
            are none.
    """
    durations = _durations(speed, lengths)
    mean = sum(share * seconds for seconds, share in durations)
    utilization = calls_per_second * mean / speed.model_calls
    if utilization >= 1:
        return math.inf
    variance = sum(share * (seconds - mean) ** 2 for seconds, share in durations)
    waits = erlang_c(speed.model_calls, utilization)
    mean_wait = mean * (1 + variance / mean**2) / 2 / (speed.model_calls * (1 - utilization))
    residuals = _residuals(speed, busy_seconds) if busy_seconds else (0.0,)

    def exceeds(limit: float) -> float:
        return sum(
            share * _tail(limit - seconds - residual, waits, mean_wait) / len(residuals)
            for seconds, share in durations
            for residual in residuals
        )

    return _solve(exceeds, 1 - P99, durations[-1][0] + residuals[-1] + 20 * mean_wait)


def _durations(speed: PodSpeed, lengths: Lengths) -> list[tuple[float, float]]:
    """Durations of calls and their shares. Long histograms are reduced to quantiles."""
    if len(lengths.tokens) <= _BUCKETS:
        total = lengths.paragraphs
        return [(speed.seconds(t), count / total) for t, count in zip(lengths.tokens, lengths.counts, strict=True)]
    # The last quantiles decide on the 99th percentile, so that these buckets are narrow.
    edges = [index / _BUCKETS for index in range(_BUCKETS)] + [1 - 1 / _BUCKETS * (1 - step / 8) for step in range(1, 8)]
    edges = [*sorted(edges), 1.0]
    return [(speed.seconds(lengths.quantile((low + high) / 2)), high - low) for low, high in itertools.pairwise(edges)]


def _residuals(speed: PodSpeed, busy_seconds: float) -> tuple[float, ...]:
    """Quantiles of the time until the first of the pod's calls of the batch lane ends."""
    quantiles = ((index + 0.5) / _RESIDUALS for index in range(_RESIDUALS))
    return tuple(busy_seconds * (1 - (1 - q) ** (1 / speed.model_calls)) for q in quantiles)


def _tail(seconds: float, waits: float, mean_wait: float) -> float:
    return 1.0 if seconds < 0 else waits * math.exp(-seconds / mean_wait)


def _solve(exceeds: Callable[[float], float], probability: float, upper: float) -> float:
    low, high = 0.0, upper
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if exceeds(middle) > probability else (low, middle)
    return high
