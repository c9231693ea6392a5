"""A plan as a JSON document."""

from collections.abc import Mapping, Sequence
from typing import Any

from undertone_planner.plan.constraint import PlanRefusedError
from undertone_planner.plan.node_types import NodeTypes
from undertone_planner.plan.plan import Plan
from undertone_planner.plan.what_if import Alternative


def plan_document(plan: Plan, types: NodeTypes) -> Mapping[str, Any]:
    """The figures of a plan. Times are in seconds unless their name says hours."""
    setting, batch, readers = plan.setting, plan.load.batch, plan.load.readers
    return {
        **_figures(plan),
        "calibration": setting.calibration_name,
        "model": setting.calibration.model,
        "paragraphs": batch.paragraphs if batch else None,
        "within_seconds": batch.within_seconds if batch else None,
        "headroom": batch.headroom if batch else None,
        "readers_per_second": readers.per_second if readers else None,
        "mean_tokens": plan.load.lengths.mean,
        "pods_per_node": setting.pods_per_node,
        "cores_per_pod": setting.speed.cores,
        "start_pods": plan.start_pods,
        "clients": plan.clients,
        "core_hours": plan.core_hours,
        "closed_form_seconds": plan.closed_form_seconds,
        "simulated_seconds": plan.simulated_seconds,
        "closed_form_p99_seconds": plan.closed_form_p99_seconds,
        "cpu_percent": plan.cpu_percent,
        "prices": {"date": types.date, "currency": types.currency, "region": types.region, "source": types.source},
        "limitations": [{"constraint": each.constraint, "reason": each.reason} for each in plan.limitations],
        "course": [
            {
                "seconds": point.seconds,
                "pods": point.pods,
                "paragraphs_per_second": point.paragraphs_per_second,
                "backlog": point.backlog,
            }
            for point in plan.course
        ],
    }


def alternatives_document(alternatives: Sequence[Alternative]) -> Sequence[Mapping[str, Any]]:
    """Figures of alternatives, or why there is no plan."""
    return [{"name": each.name, **_outcome(each)} for each in alternatives]


def _outcome(each: Alternative) -> Mapping[str, Any]:
    if isinstance(each.outcome, PlanRefusedError):
        refusal = each.outcome
        return {"refused": {"constraint": refusal.constraint, "reason": refusal.reason, "remedy": refusal.remedy}}
    return _figures(each.outcome)


def _figures(plan: Plan) -> Mapping[str, Any]:
    return {
        "node_type": plan.setting.node.name,
        "precision": plan.setting.precision,
        "spot": plan.setting.spot,
        "pods": plan.pods,
        "nodes": plan.nodes,
        "seconds": plan.seconds,
        "hours": plan.seconds / 3600,
        "paragraphs_per_second": plan.steady_rate,
        "p99_seconds": plan.p99_seconds,
        "node_hours": plan.node_hours,
        "cpu_hours": plan.cpu_hours,
        "cost": plan.cost,
        "cost_per_million": plan.cost_per_million,
        "monthly_cost": plan.monthly_cost,
    }
