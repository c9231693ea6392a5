"""What limits a plan that works."""

import math
from collections.abc import Iterator
from typing import Final

from undertone_planner.plan.capacity import Capacity
from undertone_planner.plan.constraint import Constraint, Limitation
from undertone_planner.plan.load import Batch, Readers
from undertone_planner.plan.plan import Plan
from undertone_planner.plan.quantities import duration_text

SLOW_RAMP: Final = 0.1
"""Share of the job's time in the ramp from which the boot time is named as a limitation."""


def limitations(plan: Plan, capacity: Capacity) -> Iterator[Limitation]:
    """What limits a plan, the binding constraint first."""
    setting, batch, readers, values = plan.setting, plan.load.batch, plan.load.readers, plan.setting.values
    if batch is not None and plan.pods > plan.start_pods:
        yield _deadline(plan, batch, capacity)
    elif readers is not None and plan.start_pods > values.smallest:
        yield _p99(plan, readers, capacity)
    else:
        key = "replicas" if values.autoscaler == "none" else "minReplicas"
        reason = f"{values.smallest} pods suffice; fewer are possible with a lower autoscaling.{key}"
        yield Limitation(Constraint.MIN_REPLICAS, reason)
    if batch is not None:
        yield from _ramp_and_clients(plan, batch, capacity)
    if plan.pods == values.largest and values.autoscaler != "none":
        yield Limitation(Constraint.MAX_REPLICAS, f"the plan uses all {plan.pods} pods of autoscaling.maxReplicas")
    if setting.max_nodes == plan.nodes:
        yield Limitation(Constraint.NODE_QUOTA, f"the plan uses all {plan.nodes} nodes of --max-nodes")
    if setting.spot:
        reason = (
            f"reclaims cost {1 - setting.availability:.2%} of the throughput "
            f"({setting.node.spot_reclaims_per_hour:g} a node and hour, an assumption)"
        )
        yield Limitation(Constraint.SPOT, reason)


def _deadline(plan: Plan, batch: Batch, capacity: Capacity) -> Limitation:
    slower = capacity.batch_seconds(batch, plan.pods - 1, plan.start_pods)
    fewer = f"{plan.pods - 1} would need {duration_text(slower)}" if math.isfinite(slower) else f"{plan.pods - 1} would not end"
    reason = (
        f"{plan.pods} pods need {duration_text(plan.seconds)} in closed form, {fewer}; "
        f"{duration_text(batch.within_seconds)} are given, with a headroom of {batch.headroom:.0%}"
    )
    return Limitation(Constraint.DEADLINE, reason)


def _p99(plan: Plan, readers: Readers, capacity: Capacity) -> Limitation:
    fewer = capacity.p99(readers, plan.start_pods - 1) if plan.start_pods > 1 else math.inf
    wait = f"have a p99 of {fewer:.2f} s" if math.isfinite(fewer) else "be overloaded"
    reason = f"{plan.start_pods - 1} pods would {wait} in closed form; {readers.p99_seconds:g} s are allowed"
    return Limitation(Constraint.P99, reason)


def _ramp_and_clients(plan: Plan, batch: Batch, capacity: Capacity) -> Iterator[Limitation]:
    ramp = capacity.ramp(plan.pods, plan.start_pods)
    if ramp.seconds > SLOW_RAMP * plan.seconds:
        reason = (
            f"the fleet grows for {duration_text(ramp.seconds)} of {duration_text(plan.seconds)}, because each step of the "
            f"autoscaler takes {duration_text(ramp.step_seconds)}: raise autoscaling.minReplicas before the job"
        )
        yield Limitation(Constraint.BOOT_TIME, reason)
    if plan.clients > 1:
        reason = (
            f"one client keeps {math.floor(capacity.pods_of_client(batch))} pods busy with {batch.max_in_flight} calls in "
            f"flight, so that the job has {plan.clients} clients"
        )
        yield Limitation(Constraint.CLIENT_LIMIT, reason)
