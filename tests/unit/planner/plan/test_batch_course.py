import math

import pytest
from undertone_planner.plan.batch_course import SYNC_SECONDS, Point, Ramp, course, node_seconds


def test_a_saturated_fleet_grows_by_the_ratio_to_its_target() -> None:
    ramp = Ramp(start=2, target=10, growth=1.5, step_seconds=85)
    assert [pods for _, pods in ramp.stages()] == [2, 3, 5, 8, 10]
    assert [seconds for seconds, _ in ramp.stages()] == [index * (SYNC_SECONDS + 85) for index in range(5)]
    assert ramp.seconds == 400


def test_a_course_ends_when_the_backlog_is_empty() -> None:
    points = course(Ramp(start=1, target=2, growth=2, step_seconds=85), 400, lambda pods: float(pods))
    assert points == (
        Point(seconds=0.0, pods=1, paragraphs_per_second=1.0, backlog=400.0),
        Point(seconds=100.0, pods=2, paragraphs_per_second=2.0, backlog=300.0),
        Point(seconds=250.0, pods=2, paragraphs_per_second=0.0, backlog=0.0),
    )


def test_a_fleet_that_was_scaled_to_zero_starts_with_its_first_step() -> None:
    points = course(Ramp(start=0, target=1, growth=2, step_seconds=85), 10, lambda pods: float(pods))
    assert points[-1].seconds == 110


def test_pods_that_score_nothing_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 pods never finish"):
        course(Ramp(start=2, target=2, growth=2, step_seconds=0), 10, lambda _: 0.0)


def test_nodes_exist_before_their_pods_are_ready_and_after_the_job() -> None:
    points = course(Ramp(start=1, target=4, growth=4, step_seconds=85), 100 + 400, lambda pods: float(pods))
    assert [point.seconds for point in points] == [0, 100, 200]
    seconds = node_seconds(points, per_node=2, lead_seconds=85, idle=1)
    # 100 s of one node, 85 s of one that boots, 100 s of two. Afterwards 5 minutes of two, and one
    # pod less each minute.
    assert seconds == 100 + 85 + 200 + 2 * 300 + 2 * 60 + 60


def test_a_fleet_that_does_not_shrink_costs_nothing_after_the_job() -> None:
    points = course(Ramp(start=4, target=4, growth=2, step_seconds=0), 400, lambda pods: float(pods))
    assert math.isclose(node_seconds(points, per_node=4, lead_seconds=0, idle=4), 100)
