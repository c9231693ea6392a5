"""Finds the smallest fleet for a load in closed form, or says why there is none."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from undertone_planner.fleet.autoscaler import AutoscalerSettings
from undertone_planner.plan.capacity import Capacity
from undertone_planner.plan.constraint import Constraint, PlanRefusedError
from undertone_planner.plan.limitations import limitations
from undertone_planner.plan.load import Batch, Load, Readers
from undertone_planner.plan.plan import Plan, Setting
from undertone_planner.plan.quantities import MIB, counted, duration_text

MOST_PODS: Final = 100_000
"""No plan has more pods."""


def make_plan(setting: Setting, load: Load) -> Plan:
    """The smallest fleet that handles the load.

    Raises:
        PlanRefusedError: There is none under these settings.
    """
    _check_node(setting)
    capacity = Capacity(setting, load, setting.speed)
    start = setting.values.smallest
    pods = max(1, start)
    if load.readers is not None:
        pods = start = max(start, _pods_for_readers(capacity, load.readers))
    if load.batch is not None:
        pods = max(pods, _pods_for_batch(capacity, load.batch, start))
    _check_pods(capacity, pods)
    return _plan_of(capacity, pods, start)


def resized(plan: Plan, pods: int, *, start: int | None = None) -> Plan:
    """The same plan with another number of pods, and optionally of pods at the start.

    Raises:
        PlanRefusedError: `autoscaling.maxReplicas` or the quota of nodes does not allow them.
    """
    capacity = Capacity(plan.setting, plan.load, plan.setting.speed)
    _check_pods(capacity, pods)
    return _plan_of(capacity, pods, plan.start_pods if start is None else start)


def _plan_of(capacity: Capacity, pods: int, start: int) -> Plan:
    batch, readers = capacity.load.batch, capacity.load.readers
    plan = Plan(
        setting=capacity.setting,
        load=capacity.load,
        pods=pods,
        start_pods=start,
        clients=capacity.clients(batch, pods) if batch else 0,
        course=capacity.course(batch, pods, start) if batch else (),
        steady_rate=capacity.throughput(pods) if batch else 0.0,
        p99_seconds=capacity.p99(readers, start) if readers else None,
        cpu_percent=capacity.cpu_percent(readers, start) if readers else capacity.setting.values.cpu_percent,
        limitations=(),
    )
    return replace(plan, limitations=tuple(limitations(plan, capacity)))


def _check_node(setting: Setting) -> None:
    node, values, calibration = setting.node, setting.values, setting.calibration
    if node.core_speed(setting.precision) <= 0:
        reason = f"{node.name} does not compute {setting.precision} in hardware"
        raise PlanRefusedError(Constraint.PRECISION, reason, "use --precision fp32, or a node type with AMX or AVX512-BF16")
    if setting.pods_per_node < 1:
        reason = (
            f"a pod requests {values.pod_cpus:g} CPUs and {values.pod_memory / MIB:,.0f} MiB, and a node of {node.name} has "
            f"{node.pod_cpus:.1f} CPUs and {node.pod_memory / MIB:,.0f} MiB for pods"
        )
        raise PlanRefusedError(Constraint.NODE_SIZE, reason, "use a larger node type, or lower the requests of the pod")
    if calibration.memory_bytes > values.pod_memory:
        reason = (
            f"a pod used {calibration.memory_bytes / MIB:,.0f} MiB when it was calibrated, and requests "
            f"{values.pod_memory / MIB:,.0f} MiB"
        )
        raise PlanRefusedError(Constraint.MEMORY, reason, "raise modelServer.resources in the values")


def _check_pods(capacity: Capacity, pods: int) -> None:
    """Raises PlanRefusedError if values or quota do not allow this many pods."""
    setting, values = capacity.setting, capacity.setting.values
    if pods > values.largest:
        key = "replicas" if values.autoscaler == "none" else "maxReplicas"
        reason = f"the plan needs {pods} pods, autoscaling.{key} is {values.largest}"
        remedy = f"raise autoscaling.{key} to {pods}{_or_longer(capacity, values.largest)}"
        raise PlanRefusedError(Constraint.MAX_REPLICAS, reason, remedy)
    nodes = math.ceil(pods / setting.pods_per_node)
    if setting.max_nodes is not None and nodes > setting.max_nodes:
        reason = f"the plan needs {nodes} nodes of {setting.node.name} for {pods} pods, --max-nodes is {setting.max_nodes}"
        longer = _or_longer(capacity, setting.max_nodes * setting.pods_per_node)
        raise PlanRefusedError(Constraint.NODE_QUOTA, reason, f"raise the quota{longer}")


def _or_longer(capacity: Capacity, pods: int) -> str:
    """The time that fewer pods need, as the end of a remedy. Empty if time does not help."""
    batch = capacity.load.batch
    if batch is None or pods < 1:
        return ""
    seconds = capacity.batch_seconds(batch, pods, min(pods, capacity.setting.values.smallest)) * (1 + batch.headroom)
    return f", or give {math.ceil(seconds / 3600):,} h" if batch.within_seconds < seconds < math.inf else ""


def _pods_for_readers(capacity: Capacity, readers: Readers) -> int:
    beside_batch = capacity.load.batch is not None
    alone = capacity.pod_p99(0.0, beside_batch=beside_batch)
    if alone <= readers.p99_seconds:
        pods = _smallest(lambda pods: capacity.p99(readers, pods) <= readers.p99_seconds)
        if pods > MOST_PODS:
            reason = f"{readers.per_second:g} calls a second need more than {MOST_PODS:,} pods"
            raise PlanRefusedError(Constraint.P99, reason, "divide the calls between several fleets, or use faster nodes")
        return pods
    if capacity.pod_p99(0.0, beside_batch=False) <= readers.p99_seconds:
        busy = capacity.speed.beside_readers(capacity.load.lengths).full_call_seconds
        reason = (
            f"a reader waits for a call of the batch lane, which takes about {busy:.2f} s beside readers, so that the p99 is "
            f"{alone:.2f} s for any number of pods, --p99 is {readers.p99_seconds:g} s"
        )
        remedy = f"run the batch job on pods of its own, or accept at least {math.ceil(alone * 100) / 100:g} s"
        raise PlanRefusedError(Constraint.P99, reason, remedy)
    reason = (
        f"the longest 1 % of the paragraphs take {alone:.2f} s without any queue, --p99 is {readers.p99_seconds:g} s, and more "
        "pods do not change that"
    )
    remedy = (
        f"accept at least {math.ceil(alone * 100) / 100:g} s, or use faster nodes, bf16, a smaller model or shorter paragraphs"
    )
    raise PlanRefusedError(Constraint.P99, reason, remedy)


def _pods_for_batch(capacity: Capacity, batch: Batch, start: int) -> int:
    def in_time(pods: int) -> bool:
        return capacity.batch_seconds(batch, pods, start) <= batch.planned_seconds

    if not in_time(MOST_PODS):
        reason = (
            f"{batch.paragraphs:,} paragraphs cannot be scored within {duration_text(batch.within_seconds)} by any number of "
            f"pods: {start} pods are ready at the start, and each step of the autoscaler takes "
            f"{duration_text(capacity.setting.step_seconds)}"
        )
        remedy = "raise autoscaling.minReplicas before the job starts, or give more time"
        raise PlanRefusedError(Constraint.BOOT_TIME, reason, remedy)
    pods = _smallest(in_time)
    if pods > start:
        _check_autoscaler(capacity.setting, pods)
    per_client = capacity.pods_of_client(batch)
    if batch.clients is not None and pods > batch.clients * per_client:
        busy, needed = math.floor(batch.clients * per_client), math.ceil(pods / per_client)
        reason = (
            f"the plan needs {counted(pods, 'pod')}, but {counted(batch.clients, 'client')} with at most "
            f"{counted(batch.max_in_flight, 'call')} in flight can keep only {busy} busy"
        )
        remedy = f"use {needed} clients (batch.runner: kubernetes, with batch.executors.instances: {needed})"
        raise PlanRefusedError(Constraint.CLIENT_LIMIT, reason, remedy + _or_longer(capacity, max(1, busy)))
    return pods


def _check_autoscaler(setting: Setting, pods: int) -> None:
    """Raises PlanRefusedError if saturated pods do not make the autoscaler add pods."""
    values, tolerance = setting.values, AutoscalerSettings().tolerance
    if values.autoscaler != "hpa" or setting.growth > 1 + tolerance:
        return
    busiest = 100 * values.model_cpu_limit / values.model_cpu_request
    reason = (
        f"the plan needs {pods} pods, but the autoscaler adds none: a saturated pod uses {busiest:.0f} % of its CPU request, "
        f"and the autoscaler ignores up to {tolerance:.0%} more than autoscaling.cpuPercent ({values.cpu_percent})"
    )
    remedy = f"lower autoscaling.cpuPercent to {math.ceil(busiest / (1 + tolerance)) - 1} or less"
    raise PlanRefusedError(Constraint.CPU_PERCENT, reason, remedy)


def _smallest(works: Callable[[int], bool]) -> int:
    """The smallest number of pods that works, if more pods never work worse."""
    high = 1
    while high < MOST_PODS and not works(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if works(middle) else (middle, high)
    return high
