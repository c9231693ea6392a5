"""The paper's Table 2: throughput rises with the semaphore until the fleet breaks; the adaptive limit needs no semaphore."""

import pytest
from undertone_bench.simulation.semaphores import Result, adaptive, plain

SECONDS = 600.0
"""Half of what the table takes: most of it is the fleet growing."""


@pytest.fixture(scope="module")
def semaphores() -> dict[int, Result]:
    return {semaphore: plain(semaphore, SECONDS) for semaphore in (10, 25, 50, 75)}


def test_throughput_rises_with_the_semaphore_and_then_scaling_fails(semaphores: dict[int, Result]) -> None:
    ten, twenty_five, fifty, seventy_five = semaphores.values()
    assert ten.final_rate < 0.5 * twenty_five.final_rate < 0.4 * fifty.final_rate
    assert ten.pods < twenty_five.pods < fifty.pods
    for sound in (ten, twenty_five, fifty):
        assert (sound.restarts, sound.failed) == (0, 0)
    # Overloaded pods are restarted before new ones are ready, and the autoscaler sees few that are ready: it never grows.
    assert seventy_five.restarts > 20
    assert seventy_five.failed > 100
    assert seventy_five.pods <= 8
    assert seventy_five.rate < 0.2 * ten.rate


def test_the_adaptive_limit_is_above_the_best_semaphore_without_being_told(semaphores: dict[int, Result]) -> None:
    found = adaptive(SECONDS)
    assert (found.restarts, found.failed) == (0, 0)
    assert found.rate >= max(result.rate for result in semaphores.values())
    assert found.final_rate >= 1.2 * max(result.final_rate for result in semaphores.values())
