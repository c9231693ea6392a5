"""Corrects the plan of the closed form with the fleet model."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from undertone_planner.plan.constraint import Constraint, Limitation, PlanRefusedError
from undertone_planner.plan.load import Batch
from undertone_planner.plan.plan import Plan
from undertone_planner.plan.planner import resized
from undertone_planner.plan.quantities import counted, duration_text
from undertone_planner.plan.simulation import SimulatedRun, simulate

ROUNDS: Final = 5
"""Most simulations of a plan."""
BUSY: Final = 0.9
"""Share of the capacity below which the clients are named as a limitation."""

Progress = Callable[[int, float, int], None]
"""Receives the number of the simulation from 1, the simulated seconds, and the ready pods."""


def simulated_plan(plan: Plan, *, seed: int = 0, progress: Progress | None = None) -> Plan:
    """The plan with the figures of the fleet model, and with more pods if it needs them.

    Raises:
        PlanRefusedError: The fleet model needs pods that are not allowed, or more do not help.
    """
    fewer: Plan | None = None
    for number in range(1, ROUNDS + 1):
        found = simulate(plan, seed=seed, progress=None if progress is None else lambda *at, n=number: progress(n, *at))
        simulated = _with(plan, found)
        if not found.is_steady:
            reason = (
                f"the fleet of {plan.pods} pods is not steady after {found.simulated_seconds / 3600:.1f} h in the fleet model"
            )
            raise PlanRefusedError(Constraint.BOOT_TIME, reason, "raise autoscaling.minReplicas before the job starts")
        if found.failed:
            reason = f"{counted(found.failed, 'paragraph')} of the job failed in the fleet model, which had too few ready pods"
            raise PlanRefusedError(Constraint.BOOT_TIME, reason, "raise autoscaling.minReplicas before the job starts")
        larger = _larger(simulated, found)
        if larger is None:
            return simulated if fewer is None else _bound_by(simulated, fewer)
        fewer, plan = simulated, larger
    reason = f"{plan.pods} pods do not suffice in the fleet model after {ROUNDS} simulations"
    raise PlanRefusedError(Constraint.DEADLINE, reason, "give more time, or raise autoscaling.minReplicas")


def _larger(plan: Plan, found: SimulatedRun) -> Plan | None:
    """The plan with more pods. None if the simulated plan meets the deadline and the p99."""
    batch, readers = plan.load.batch, plan.load.readers
    if readers is not None and plan.p99_seconds is not None and plan.p99_seconds > readers.p99_seconds:
        more = max(plan.start_pods + 1, math.ceil(plan.start_pods * 1.05))
        return resized(plan, max(plan.pods, more), start=more)
    if batch is None or plan.seconds <= batch.planned_seconds:
        return None
    if found.pods < plan.pods:
        reason = (
            f"the autoscaler stays at {found.pods} of {plan.pods} pods in the fleet model, because "
            f"{counted(plan.clients, 'client')} with at most {batch.max_in_flight} calls in flight do not keep them busy"
        )
        raise PlanRefusedError(Constraint.CLIENT_LIMIT, reason, "use more clients (--clients), or lower autoscaling.cpuPercent")
    more = max(plan.pods + 1, math.ceil(plan.pods * plan.seconds / batch.planned_seconds))
    try:
        return resized(plan, more)
    except PlanRefusedError as refusal:
        raise _too_late(plan, batch, refusal) from None


def _too_late(plan: Plan, batch: Batch, refusal: PlanRefusedError) -> PlanRefusedError:
    """The refusal with the time that the simulated fleet needs."""
    hours = math.ceil(plan.seconds * (1 + batch.headroom) / 3600)
    reason = f"{refusal.reason}, because {plan.pods} pods need {plan.seconds / 3600:.1f} h in the fleet model"
    return PlanRefusedError(refusal.constraint, reason, f"{refusal.remedy.partition(', or')[0]}, or give {hours} h")


def _bound_by(plan: Plan, fewer: Plan) -> Plan:
    """The plan whose binding constraint is what a smaller fleet missed in the fleet model."""
    batch, readers = plan.load.batch, plan.load.readers
    if batch is not None and fewer.seconds > batch.planned_seconds:
        constraint = Constraint.DEADLINE
        reason = (
            f"{fewer.pods} pods would need {duration_text(fewer.seconds)} in the fleet model; "
            f"{duration_text(batch.within_seconds)} are given, with a headroom of {batch.headroom:.0%}"
        )
    elif readers is not None and fewer.p99_seconds is not None:
        constraint = Constraint.P99
        reason = (
            f"{fewer.start_pods} pods would have a p99 of {fewer.p99_seconds:.2f} s in the fleet model; "
            f"{readers.p99_seconds:g} s are allowed"
        )
    else:
        return plan
    others = [each for each in plan.limitations if each.constraint not in (constraint, Constraint.MIN_REPLICAS)]
    return replace(plan, limitations=(Limitation(constraint, reason), *others))


def _with(plan: Plan, found: SimulatedRun) -> Plan:
    """The plan with the figures of the fleet model."""
    limitations = plan.limitations
    if plan.load.batch is not None and found.steady_rate < BUSY * plan.steady_rate:
        reason = (
            f"{counted(plan.clients, 'client')} reach {found.steady_rate / plan.steady_rate:.0%} of the capacity of the "
            "pods in the fleet model: more clients (--clients) use the pods better"
        )
        limitations = (*limitations, Limitation(Constraint.CLIENT_LIMIT, reason))
    return replace(
        plan,
        course=found.course,
        simulated_seconds=found.simulated_seconds,
        steady_rate=found.steady_rate,
        closed_form_seconds=plan.seconds,
        p99_seconds=plan.p99_seconds if found.p99_seconds is None else found.p99_seconds,
        closed_form_p99_seconds=plan.p99_seconds,
        limitations=limitations,
    )
