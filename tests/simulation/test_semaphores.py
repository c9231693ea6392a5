"""The paper's Table 2: throughput rises with the semaphore until the fleet collapses."""

import pytest
from undertone_planner.scenarios.semaphores import Result, adaptive, plain

SECONDS = 600.0
"""Half of the table's time."""


@pytest.fixture(scope="module")
def by_semaphore() -> dict[int, Result]:
    return {semaphore: plain(semaphore, SECONDS) for semaphore in (10, 25, 50, 75)}


def test_throughput_rises_with_the_semaphore_until_the_fleet_stops_scaling(by_semaphore: dict[int, Result]) -> None:
    ten, twenty_five, fifty, seventy_five = by_semaphore.values()
    assert ten.final_rate < 0.5 * twenty_five.final_rate < 0.4 * fifty.final_rate
    assert ten.pods < twenty_five.pods < fifty.pods
    for stable in (ten, twenty_five, fifty):
        assert (stable.restarts, stable.failed) == (0, 0)
    # Overloaded pods restart before new ones are ready; the autoscaler sees few ready pods and does
    # not scale up.
    assert seventy_five.restarts > 20
    assert seventy_five.failed > 100
    assert seventy_five.pods <= 8
    assert seventy_five.rate < 0.2 * ten.rate


def test_the_adaptive_limit_exceeds_the_best_semaphore(by_semaphore: dict[int, Result]) -> None:
    result = adaptive(SECONDS)
    assert (result.restarts, result.failed) == (0, 0)
    assert result.rate >= max(one.rate for one in by_semaphore.values())
    assert result.final_rate >= 1.2 * max(one.final_rate for one in by_semaphore.values())
