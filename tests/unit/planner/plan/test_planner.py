import contextlib
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_planner.plan.capacity import Capacity
from undertone_planner.plan.chart_values import ChartValues
from undertone_planner.plan.constraint import Constraint, PlanRefusedError
from undertone_planner.plan.lengths import Lengths
from undertone_planner.plan.load import PADDING, Load
from undertone_planner.plan.plan import Plan
from undertone_planner.plan.planner import make_plan, resized

from tests.unit.planner.support.plans import (
    HOUR,
    NODE,
    POD_RATE,
    batch,
    batch_load,
    readers_load,
    setting,
)
from tests.unit.support.calibrations import CALIBRATION

ALL_READY = ChartValues(min_replicas=10, max_replicas=10)
MANY = ChartValues(max_replicas=100_000)


def refusal(load: Load, **fields: Any) -> PlanRefusedError:
    with pytest.raises(PlanRefusedError) as found:
        make_plan(setting(**fields), load)
    return found.value


def constraints(plan: Plan) -> list[Constraint]:
    return [each.constraint for each in plan.limitations]


def test_a_fleet_without_a_ramp_takes_paragraphs_by_throughput() -> None:
    plan = make_plan(setting(values=ALL_READY), batch_load(1_000_000, 24))
    assert plan.pods == 10
    assert plan.seconds == pytest.approx(1_000_000 / (10 * POD_RATE))
    assert plan.steady_rate == pytest.approx(10 * POD_RATE)
    assert constraints(plan) == [Constraint.MIN_REPLICAS, Constraint.MAX_REPLICAS]


def test_the_plan_has_the_fewest_pods_that_meet_the_deadline() -> None:
    load = batch_load(5_000_000, 10)
    plan = make_plan(setting(), load)
    assert load.batch is not None
    assert plan.seconds <= 10 * HOUR
    assert resized(plan, plan.pods - 1).seconds > 10 * HOUR
    assert constraints(plan)[0] is Constraint.DEADLINE
    assert f"{plan.pods - 1} would need" in plan.limitations[0].reason


def test_cost_is_the_price_of_the_nodes_until_the_fleet_is_small_again() -> None:
    plan = make_plan(setting(values=ALL_READY), batch_load(1_000_000, 24))
    assert plan.nodes == 2
    assert plan.node_hours == pytest.approx(2 * plan.seconds / HOUR)
    assert plan.cost == pytest.approx(plan.node_hours * NODE.on_demand)
    assert plan.cost_per_million == pytest.approx(plan.cost)
    assert plan.cpu_hours == pytest.approx(16 * plan.node_hours)
    scaled = make_plan(setting(), batch_load(5_000_000, 10))
    ends = scaled.seconds / HOUR * scaled.nodes
    assert ends - 1 < scaled.node_hours, "nodes remain after the job until the autoscaler removes them"


@given(paragraphs=st.integers(10_000, 50_000_000), hours=st.floats(1, 200), pods=st.integers(2, 300))
def test_more_pods_never_take_longer(paragraphs: int, hours: float, pods: int) -> None:
    load = batch_load(paragraphs, hours)
    capacity = Capacity(setting(values=MANY), load, setting(values=MANY).speed)
    assert load.batch is not None
    durations = [capacity.batch_seconds(load.batch, count, 2) for count in (pods, pods + 1, 2 * pods)]
    assert durations == sorted(durations, reverse=True)


@given(paragraphs=st.integers(100_000, 50_000_000), factor=st.integers(2, 20))
def test_cost_scales_with_the_paragraphs(paragraphs: int, factor: int) -> None:
    small = make_plan(setting(values=ALL_READY), batch_load(paragraphs, 10_000_000))
    large = make_plan(setting(values=ALL_READY), batch_load(factor * paragraphs, 10_000_000))
    assert large.cost == pytest.approx(factor * small.cost)
    assert large.cost_per_million == pytest.approx(small.cost_per_million)


@given(paragraphs=st.integers(1_000_000, 50_000_000), hours=st.floats(2, 100), shorter=st.floats(0.3, 1))
def test_less_time_never_needs_fewer_pods(paragraphs: int, hours: float, shorter: float) -> None:
    slow = make_plan(setting(values=MANY), batch_load(paragraphs, hours))
    with contextlib.suppress(PlanRefusedError):
        assert make_plan(setting(values=MANY), batch_load(paragraphs, hours * shorter)).pods >= slow.pods


@given(headroom=st.floats(0, 1))
def test_headroom_is_left_before_the_deadline(headroom: float) -> None:
    plan = make_plan(setting(values=MANY), batch_load(10_000_000, 20, headroom=headroom))
    assert plan.seconds * (1 + headroom) <= 20 * HOUR * (1 + 1e-9)


def test_a_node_with_twice_the_speed_halves_the_time() -> None:
    load = batch_load(1_000_000, 1000)
    slow = make_plan(setting(values=ALL_READY), load)
    fast = make_plan(setting(values=ALL_READY, node=replace(NODE, speed=2.0)), load)
    assert fast.seconds == pytest.approx(slow.seconds / 2)
    bf16 = make_plan(setting(values=ALL_READY, node=replace(NODE, bf16=4.0), precision="bf16"), load)
    assert bf16.seconds == pytest.approx(slow.seconds / 4)


def test_hyper_threads_share_a_core() -> None:
    # The node is full of 8 pods of 2 CPUs, which have one physical core each.
    node = replace(NODE, cores=8)
    assert setting(node=node).speed.cores == 1
    assert setting(node=node).speed.tokens_per_second == pytest.approx(CALIBRATION.tokens_per_second / 2)
    sized = setting(node=node, values=ChartValues().with_cores(2, 2))
    assert (sized.pods_per_node, sized.values.model_calls) == (4, 2)
    assert sized.speed.tokens_per_second == pytest.approx(CALIBRATION.tokens_per_second)


def test_spot_costs_less_and_loses_the_time_of_reclaims() -> None:
    load = batch_load(1_000_000, 24)
    on_demand = make_plan(setting(values=ALL_READY), load)
    spot = make_plan(setting(values=ALL_READY, spot=True), load)
    assert spot.seconds == pytest.approx(on_demand.seconds / (1 - 0.01 * 120 / HOUR))
    assert spot.cost < 0.41 * on_demand.cost
    assert constraints(spot)[-1] is Constraint.SPOT


def test_max_replicas_refuses_with_both_remedies() -> None:
    found = refusal(batch_load(10_000_000, 1.2))
    assert found.constraint is Constraint.MAX_REPLICAS
    assert "autoscaling.maxReplicas is 100: raise autoscaling.maxReplicas to" in str(found)
    hours = int(found.remedy.rpartition("give ")[2].removesuffix(" h"))
    assert make_plan(setting(), batch_load(10_000_000, hours)).pods <= 100


def test_the_fixed_number_of_pods_is_the_limit_without_an_autoscaler() -> None:
    values = ChartValues(autoscaler="none", replicas=3)
    found = refusal(batch_load(10_000_000, 10), values=values)
    assert "autoscaling.replicas is 3" in found.reason


def test_the_quota_of_nodes_refuses() -> None:
    found = refusal(batch_load(5_000_000, 10), max_nodes=0)
    assert found.constraint is Constraint.NODE_QUOTA
    plan = make_plan(setting(max_nodes=1), batch_load(1_000_000, 10))
    assert plan.nodes == 1
    assert Constraint.NODE_QUOTA in constraints(plan)


def test_given_clients_refuse_a_fleet_that_they_cannot_fill() -> None:
    found = refusal(batch_load(10_000_000, 5, clients=1))
    assert found.constraint is Constraint.CLIENT_LIMIT
    needed = int(found.remedy.split()[1])
    assert make_plan(setting(), batch_load(10_000_000, 5, clients=needed)).clients == needed


def test_a_deadline_within_the_ramp_refuses_with_the_boot_time() -> None:
    found = refusal(batch_load(100_000_000, 0.1), values=MANY)
    assert found.constraint is Constraint.BOOT_TIME
    assert "minReplicas" in found.remedy


def test_a_long_ramp_is_named() -> None:
    assert Constraint.BOOT_TIME in constraints(make_plan(setting(), batch_load(1_000_000, 1)))


def test_nodes_that_do_not_fit_are_refused() -> None:
    load = batch_load(1_000, 10)
    assert refusal(load, node=replace(NODE, vcpus=1, cores=1)).constraint is Constraint.NODE_SIZE
    assert refusal(load, precision="bf16").constraint is Constraint.PRECISION
    assert refusal(load, calibration=replace(CALIBRATION, memory_bytes=2**40)).constraint is Constraint.MEMORY


def test_readers_get_the_fewest_pods_that_keep_the_p99() -> None:
    load = readers_load(200, 0.2)
    plan = make_plan(setting(), load)
    assert plan.p99_seconds is not None
    assert plan.p99_seconds <= 0.2
    assert plan.start_pods == plan.pods
    assert Capacity(plan.setting, load, plan.setting.speed).p99(load.readers, plan.pods - 1) > 0.2  # type: ignore[arg-type]
    assert constraints(plan)[0] is Constraint.P99


def test_the_autoscaler_keeps_the_pods_of_the_readers() -> None:
    plan = make_plan(setting(), readers_load(200, 0.15))
    values = plan.setting.values
    busy = 200 * 0.1 / 2 / plan.pods * values.model_cpu_limit / values.model_cpu_request
    assert math.ceil(plan.pods * busy * 100 / plan.cpu_percent) <= plan.pods
    assert plan.cpu_percent <= values.cpu_percent


def test_a_p99_below_the_time_of_a_call_is_refused() -> None:
    found = refusal(readers_load(1, 0.05))
    assert found.constraint is Constraint.P99
    assert "accept at least 0.1" in found.remedy


def test_a_p99_below_a_call_of_the_batch_lane_is_refused() -> None:
    found = refusal(readers_load(1, 0.15, job=batch(1000, 10)))
    assert found.constraint is Constraint.P99
    assert "batch lane, which takes about 0.10 s beside readers" in found.reason
    assert make_plan(setting(), readers_load(1, 0.15)).p99_seconds == pytest.approx(0.1)


def test_readers_take_throughput_from_the_batch() -> None:
    job = batch(1_000_000, 1000)
    alone = make_plan(setting(values=ALL_READY), Load(lengths=Lengths.of({100: 1}), batch=job))
    beside = make_plan(setting(values=ALL_READY), readers_load(100, 60, job=job))
    # 100 calls of 0.1 s keep 5 of 10 pods with 2 slots busy.
    assert beside.steady_rate == pytest.approx(alone.steady_rate / 2)
    assert beside.seconds == pytest.approx(2 * alone.seconds)


def test_calls_of_the_batch_lane_are_short_beside_readers() -> None:
    calibration = replace(CALIBRATION, seconds_per_call=0.05)
    speed = setting(calibration=calibration).speed
    assert speed.beside_readers(Lengths.of({100: 1})).batch_tokens == round(50 * 0.93 / 0.07)
    # Without a fixed time of a call, it has one paragraph: a long one at most times.
    assert setting().speed.beside_readers(Lengths.of({100: 3, 300: 1})).batch_tokens == 200


def test_padding_is_part_of_the_speed() -> None:
    assert setting().speed.batch_rate(Lengths.of({100: 1})) == pytest.approx(2000 / (100 * PADDING))


def test_without_an_autoscaler_the_number_of_pods_is_named() -> None:
    plan = make_plan(setting(values=ChartValues(autoscaler="none", replicas=3)), batch_load(1_000, 10))
    assert [str(each) for each in plan.limitations] == [
        "minReplicas: 3 pods suffice; fewer are possible with a lower autoscaling.replicas"
    ]


def test_a_fleet_whose_pods_cannot_exceed_the_target_of_the_autoscaler_does_not_grow() -> None:
    def values(percent: int) -> ChartValues:
        return ChartValues(cpu_percent=percent, model_cpu_request=2.0, model_cpu_limit=2.0)

    load = batch_load(1_000_000, 5)
    refused = refusal(load, values=values(91))
    assert refused.constraint is Constraint.CPU_PERCENT
    assert refused.remedy == "lower autoscaling.cpuPercent to 90 or less"
    assert make_plan(setting(values=values(90)), load).pods > 2
    assert make_plan(setting(values=values(100)), batch_load(100_000, 5)).pods == 2, "it need not grow"


def test_one_pod_suffices_for_few_readers_of_a_fleet_without_a_minimum() -> None:
    plan = make_plan(setting(values=ChartValues(autoscaler="keda", min_replicas=0)), readers_load(1, 1.0))
    assert plan.pods == plan.start_pods == 1
    assert plan.limitations[0].reason.startswith("0 pods would be overloaded")


def test_more_readers_than_any_plan_has_pods_for_are_refused() -> None:
    refused = refusal(readers_load(1e9, 1.0), values=MANY)
    assert refused.constraint is Constraint.P99
    assert refused.reason == "1e+09 calls a second need more than 100,000 pods"
