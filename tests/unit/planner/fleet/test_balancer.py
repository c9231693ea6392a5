import random
from collections import Counter
from dataclasses import dataclass

import pytest
from undertone_planner.fleet.balancer import BalancerSettings, RetryGate, choose


@dataclass(eq=False)
class Pod:
    active: int = 0


def shares(pods: list[Pod], settings: BalancerSettings | None = None) -> list[float]:
    """The share of the calls that each pod gets while its active calls do not change."""
    settings, generator = settings or BalancerSettings(), random.Random(0)
    counts = Counter(pods.index(pod) for _ in range(20_000) if (pod := choose(pods, settings, generator)) is not None)
    return [counts[index] / 20_000 for index in range(len(pods))]


def test_the_less_loaded_of_two_random_pods_is_chosen() -> None:
    # With replacement, the pod with more calls is chosen if it is drawn twice.
    assert shares([Pod(5), Pod(0)]) == pytest.approx([0.25, 0.75], abs=0.02)
    assert shares([Pod(2), Pod(1), Pod(0)]) == pytest.approx([1 / 9, 3 / 9, 5 / 9], abs=0.02)


def test_more_choices_find_the_least_loaded_pod() -> None:
    assert shares([Pod(5), Pod(5), Pod(0)], BalancerSettings(choices=20))[2] > 0.99


def test_tried_pods_are_avoided_while_there_are_others() -> None:
    first, second, generator = Pod(), Pod(9), random.Random(0)
    assert {choose([first, second], BalancerSettings(), generator, [first]) for _ in range(20)} == {second}
    assert choose([first], BalancerSettings(), generator, [first]) is first
    assert choose([], BalancerSettings(), generator) is None


def test_the_budget_bounds_repetitions() -> None:
    gate = RetryGate(BalancerSettings(retry_budget=0.5, retry_minimum=2))
    gate.calls, gate.retries = 10, 4
    assert gate.is_open
    gate.retries = 5
    assert not gate.is_open
    gate.calls, gate.retries = 0, 1
    assert gate.is_open
