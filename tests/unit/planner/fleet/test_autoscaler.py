import pytest
from undertone_planner.fleet.autoscaler import Autoscaler, AutoscalerSettings


@pytest.mark.parametrize(
    ("pods", "utilizations", "desired"),
    [
        (4, [1.0] * 4, 6),  # ceil(4 * 1.0 / 0.7)
        (4, [0.75] * 4, 4),  # within the tolerance
        (6, [1.0] * 4, 6),  # the two pods that start count as idle: 67 %
        (8, [1.0] * 4, 8),  # idle pods would reverse the direction
        (10, [1.0] * 9, 13),
        (4, [], 4),  # no metrics, no scaling
        (1, [4.0], 5),  # ceil(5.7), limited to four more pods
        (90, [1.0] * 90, 100),  # max_replicas
        (4, [0.1] * 4, 1),
    ],
)
def test_replicas_follow_the_algorithm_of_kubernetes(pods: int, utilizations: list[float], desired: int) -> None:
    assert Autoscaler(AutoscalerSettings()).desired_replicas(0, pods, utilizations) == desired


def test_scaling_down_waits_for_the_stabilization_window() -> None:
    autoscaler = Autoscaler(AutoscalerSettings(stabilization_seconds=300))
    assert autoscaler.desired_replicas(0, 8, [0.7] * 8) == 8
    assert autoscaler.desired_replicas(150, 8, [0.2] * 8) == 8
    assert autoscaler.desired_replicas(299, 8, [0.2] * 8) == 8
    assert autoscaler.desired_replicas(301, 8, [0.2] * 8) == 3
