from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from undertone_planner.plan.chart_values import ChartValues
from undertone_planner.plan.constraint import Constraint, PlanRefusedError
from undertone_planner.plan.lengths import Lengths
from undertone_planner.plan.load import Load
from undertone_planner.plan.planner import make_plan
from undertone_planner.plan.simulated_plan import simulated_plan
from undertone_planner.plan.simulation import fleet_settings, simulate

from tests.unit.planner.support.plans import HOUR, NODE, POD_RATE, batch, batch_load, readers_load, setting
from tests.unit.support.calibrations import CALIBRATION

FOUR_READY = ChartValues(min_replicas=4, max_replicas=4)
ASLEEP = ChartValues(autoscaler="keda", min_replicas=0)


@settings(max_examples=8, deadline=None, phases=[Phase.generate])
@given(
    pods=st.integers(1, 6),
    slots=st.integers(1, 2),
    per_call=st.floats(0, 0.05),
    tokens=st.integers(20, 500),
)
def test_a_job_in_a_fleet_without_a_ramp_agrees_with_the_closed_form(
    pods: int, slots: int, per_call: float, tokens: int
) -> None:
    values = ChartValues(min_replicas=pods, max_replicas=pods, model_cpu_limit=float(slots))
    calibration = replace(CALIBRATION, seconds_per_call=per_call)
    load = Load(lengths=Lengths.of({tokens: 1}), batch=batch(100_000_000, 1_000_000))
    plan = make_plan(setting(values=values, calibration=calibration), load)
    found = simulate(plan)
    assert found.is_steady
    assert found.failed == 0
    # The adaptive limit of one client does not always keep a small fleet busy.
    assert found.steady_rate == pytest.approx(plan.steady_rate, rel=0.2)
    assert found.course[-1].seconds == pytest.approx(plan.seconds, rel=0.25)
    assert found.simulated_seconds < 0.01 * plan.seconds, "the rest is extrapolated"


def test_a_short_job_is_simulated_to_its_end() -> None:
    plan = make_plan(setting(values=FOUR_READY), batch_load(8_000, 1))
    found = simulate(plan)
    assert found.simulated_seconds == found.course[-1].seconds == pytest.approx(plan.seconds, rel=0.2)
    assert [point.backlog for point in found.course] == sorted((p.backlog for p in found.course), reverse=True)
    assert found.course[-1].backlog == 0


def test_the_fleet_grows_to_the_pods_of_the_plan() -> None:
    plan = make_plan(setting(), batch_load(1_000_000, 2))
    progress: list[tuple[float, int]] = []
    simulated = simulated_plan(plan, progress=lambda _, seconds, pods: progress.append((seconds, pods)))
    assert simulated.seconds <= 2 * HOUR
    assert simulated.pods >= plan.pods
    assert simulated.closed_form_seconds is not None
    assert simulated.seconds == pytest.approx(simulated.closed_form_seconds, rel=0.15)
    assert [pods for _, pods in progress] == sorted(pods for _, pods in progress)
    assert progress[0][1] == 2
    deadline = simulated.limitations[0]
    assert deadline.constraint is Constraint.DEADLINE
    assert ("in the fleet model" in deadline.reason) == (simulated.pods > plan.pods)
    assert progress[-1][1] == simulated.pods


def test_readers_keep_their_p99_alone_and_beside_a_batch() -> None:
    alone = simulated_plan(make_plan(setting(), readers_load(20, 0.3)))
    assert alone.p99_seconds is not None
    assert 0.1 < alone.p99_seconds <= 0.3
    assert not alone.course
    calibration = replace(CALIBRATION, seconds_per_call=0.05)
    two_ready = setting(values=ChartValues(min_replicas=2, max_replicas=2), calibration=calibration)
    plan = make_plan(two_ready, readers_load(10, 1.5, job=batch(1_000_000, 1000)))
    beside = simulated_plan(plan)
    assert beside.p99_seconds is not None
    assert 0.1 < beside.p99_seconds <= 1.5
    assert beside.steady_rate == pytest.approx(plan.steady_rate, rel=0.15)


def test_the_fleet_model_refuses_as_the_closed_form_does() -> None:
    # One client fills the pods only in part, and no more pods are allowed.
    load = batch_load(10_000_000, 10_000_000 / (4 * POD_RATE) / HOUR * 1.001, max_in_flight=4, clients=1)
    plan = replace(make_plan(setting(values=FOUR_READY), batch_load(10_000_000, 1000)), load=load)
    with pytest.raises(PlanRefusedError) as found:
        simulated_plan(plan)
    assert found.value.constraint is Constraint.MAX_REPLICAS
    assert "in the fleet model" in found.value.reason
    assert "or give" in found.value.remedy


def test_the_fleet_has_the_nodes_and_pods_of_the_plan() -> None:
    fleet = fleet_settings(make_plan(setting(max_nodes=3, spot=True), batch_load(1_000_000, 2)))
    assert fleet.nodes is not None
    assert (fleet.nodes.cpus, fleet.nodes.max_nodes, fleet.nodes.boot_seconds) == (16, 3, NODE.boot_seconds)
    assert (fleet.pods, fleet.pod.slots, fleet.pod.cpus) == (2, 2, 2.0)
    assert fleet.pod.service_time.seconds_per_token == pytest.approx(0.001 / (1 - 0.01 * 120 / HOUR))
    assert fleet.autoscaler is not None
    assert fleet_settings(make_plan(setting(), readers_load(10, 1.0))).autoscaler is None


def test_a_job_starts_the_first_pod_of_a_fleet_that_is_scaled_to_zero() -> None:
    plan = make_plan(setting(values=ASLEEP), batch_load(500_000, 3))
    simulated = simulated_plan(plan)
    assert simulated.course[0].pods == 0
    assert max(point.pods for point in simulated.course) == simulated.pods
    assert simulated.seconds == pytest.approx(plan.seconds, rel=0.15)


def test_a_plan_whose_paragraphs_fail_before_the_first_pod_is_ready_is_refused() -> None:
    slow = replace(NODE, boot_seconds=2 * HOUR)
    with pytest.raises(PlanRefusedError, match="10000 paragraphs of the job failed") as found:
        simulated_plan(make_plan(setting(values=ASLEEP, node=slow), batch_load(10_000, 20)))
    assert found.value.constraint is Constraint.BOOT_TIME


@pytest.mark.parametrize("per_second", [0.02, 1e-9])
def test_the_calls_of_few_readers_end_before_the_horizon(per_second: float) -> None:
    plan = make_plan(setting(values=FOUR_READY), readers_load(per_second, 1.0))
    simulated = simulated_plan(plan)
    assert simulated.p99_seconds == pytest.approx(plan.p99_seconds, rel=0.2)
