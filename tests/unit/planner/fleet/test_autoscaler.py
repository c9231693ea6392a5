from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_planner.fleet.autoscaler import Autoscaler, AutoscalerSettings, PodMetric
from undertone_planner.fleet.scaling_rules import CHART_BEHAVIOR, Behavior, Policy, RateLimits, ScalingRules

PENDING = PodMetric(None, ready=False, pending=True, age_seconds=0, was_ready=False)
LOADING = PodMetric(0.0, ready=False, age_seconds=20, was_ready=False)
JUST_READY = PodMetric(0.0, age_seconds=60, ready_changed_seconds=5)
OLD_UNREADY = PodMetric(1.0, ready=False, age_seconds=400, ready_changed_seconds=5)
NEVER_READY = PodMetric(0.0, ready=False, age_seconds=400, was_ready=False)
RESTARTING = PodMetric(None, ready=False, age_seconds=400)


def used(*utilizations: float) -> list[PodMetric]:
    return [PodMetric(utilization) for utilization in utilizations]


AT_ONCE = Behavior(down=ScalingRules((Policy("Percent", 100, 15),)))
"""The default without the stabilization of scaling down."""


def desired(replicas: int, pods: Sequence[PodMetric], settings: AutoscalerSettings | None = None) -> int:
    return Autoscaler(settings or AutoscalerSettings(behavior=AT_ONCE)).desired_replicas(0, replicas, pods)


@pytest.mark.parametrize(
    ("replicas", "pods", "expected"),
    [
        (4, used(1, 1, 1, 1), 6),  # ceil(4 * 1.0 / 0.7)
        (4, used(0.75, 0.75, 0.75, 0.75), 4),  # within the tolerance
        (4, used(0.77, 0.77, 0.77, 0.77), 4),  # just within
        (4, used(0.7799, 0.7799, 0.7799, 0.7799), 4),  # 77 % after truncation
        (4, used(0.78, 0.78, 0.78, 0.78), 5),
        (4, [], 4),  # no metrics, no scaling
        (1, used(4.0), 5),  # ceil(5.7), limited to four more pods
        (90, used(*[1.0] * 90), 100),  # max_replicas
        (4, used(0.1, 0.1, 0.1, 0.1), 1),
        # Pods that are not ready or have no measurement count as idle when scaling up.
        (6, [*used(1, 1, 1, 1), PENDING, PENDING], 6),  # 66 %, within the tolerance
        (8, [*used(1, 1, 1, 1), *[LOADING] * 4], 8),  # 50 %: it would reverse the direction
        (10, [*used(*[1.0] * 9), JUST_READY], 13),
        (10, [*used(*[1.0] * 9), NEVER_READY], 13),
        (10, [*used(*[1.0] * 9), RESTARTING], 13),
        # After five minutes, the CPU of a pod that was ready counts although it is not ready now.
        (4, [*used(1, 1, 1), OLD_UNREADY], 6),
        # Pods without a measurement count as fully used when scaling down; unready ones do not.
        (4, [*used(0.2, 0.2, 0.2), RESTARTING], 3),  # 40 %; without it 20 %, and one pod
        (4, [*used(0.5, 0.5, 0.5), RESTARTING], 4),  # 62 %
        (4, [*used(0.2, 0.2, 0.2), LOADING], 1),
        (4, [PENDING, LOADING, RESTARTING, NEVER_READY], 4),
    ],
)
def test_replicas_follow_the_algorithm_of_kubernetes(replicas: int, pods: list[PodMetric], expected: int) -> None:
    assert desired(replicas, pods) == expected


def test_the_largest_proposal_wins_and_an_unknown_one_forbids_scaling_down() -> None:
    def scale(*proposals: int | None) -> int:
        autoscaler = Autoscaler(AutoscalerSettings(behavior=AT_ONCE))
        return autoscaler.desired_replicas(0, 4, used(0.1, 0.1, 0.1, 0.1), proposals)

    assert scale(3, 2) == 3
    assert scale(7) == 7
    assert scale(None) == 4
    assert scale(6, None) == 6


def test_zero_replicas_turn_the_autoscaler_off() -> None:
    assert Autoscaler(AutoscalerSettings()).desired_replicas(0, 0, [], [5]) == 0


def test_replicas_outside_the_bounds_are_moved_into_them_at_once() -> None:
    settings = AutoscalerSettings(min_replicas=10, max_replicas=20)
    assert desired(2, used(0.7, 0.7), settings) == 10
    assert desired(40, used(*[1.0] * 40), settings) == 20


def test_scaling_down_waits_for_the_stabilization_window() -> None:
    autoscaler = Autoscaler(AutoscalerSettings())
    assert autoscaler.desired_replicas(0, 8, used(*[0.7] * 8)) == 8
    assert autoscaler.desired_replicas(150, 8, used(*[0.2] * 8)) == 8
    assert autoscaler.desired_replicas(299, 8, used(*[0.2] * 8)) == 8
    assert autoscaler.desired_replicas(301, 8, used(*[0.2] * 8)) == 3


def test_the_first_recommendation_waits_for_the_stabilization_window_too() -> None:
    autoscaler = Autoscaler(AutoscalerSettings())
    assert autoscaler.desired_replicas(0, 8, used(*[0.2] * 8)) == 8
    assert autoscaler.desired_replicas(299, 8, used(*[0.2] * 8)) == 8
    assert autoscaler.desired_replicas(301, 8, used(*[0.2] * 8)) == 3


def test_the_chart_removes_a_tenth_of_the_pods_a_minute() -> None:
    autoscaler, replicas, course = Autoscaler(AutoscalerSettings(behavior=CHART_BEHAVIOR)), 100, []
    for second in range(0, 600, 15):
        replicas = autoscaler.desired_replicas(second, replicas, used(*[0.0 if second else 0.7] * replicas))
        course.append(replicas)
    assert course[:20] == [100] * 20  # stabilization
    assert course[20:28] == [90] * 4 + [81] * 4


def test_policies_bound_the_change_of_a_period() -> None:
    behavior = Behavior(up=ScalingRules((Policy("Percent", 50, 60), Policy("Pods", 3, 60)), select="Min"))
    limits = RateLimits(behavior)
    assert limits.apply(0, 10, 100, 1, 100) == 13  # the smaller of 15 and 13
    assert limits.apply(30, 13, 100, 1, 100) == 13  # the same period
    assert limits.apply(61, 13, 100, 1, 100) == 16
    assert RateLimits(behavior).apply(0, 2, 100, 1, 100) == 3  # ceil(2 * 1.5)


def test_scaling_up_takes_the_lowest_recommendation_of_its_window() -> None:
    limits = RateLimits(Behavior(up=ScalingRules((Policy("Percent", 900, 15),), stabilization_seconds=60)))
    assert limits.apply(0, 10, 10, 1, 100) == 10
    assert limits.apply(30, 10, 50, 1, 100) == 10
    assert limits.apply(61, 10, 40, 1, 100) == 40


policies = st.builds(Policy, st.sampled_from(["Pods", "Percent"]), st.integers(1, 200), st.floats(15, 300))
rules = st.builds(
    ScalingRules, st.lists(policies, min_size=1, max_size=3).map(tuple), st.floats(0, 600), st.sampled_from(["Max", "Min"])
)


@given(st.builds(Behavior, rules, rules), st.lists(st.integers(0, 200), min_size=1, max_size=40))
def test_replicas_move_towards_a_recommendation_and_stay_within_the_bounds(
    behavior: Behavior, recommendations: list[int]
) -> None:
    limits, replicas = RateLimits(behavior), 50
    for step, recommended in enumerate(recommendations):
        before, replicas = replicas, limits.apply(15 * step, replicas, recommended, 2, 100)
        assert 2 <= replicas <= 100
        seen = recommendations[: step + 1]
        assert min(before, *seen, 100) <= replicas <= max(before, *seen, 2)
