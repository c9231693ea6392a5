"""Alternatives to a plan, in closed form, side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from undertone_planner.plan.constraint import PlanRefusedError
from undertone_planner.plan.load import Load
from undertone_planner.plan.node_types import NodeType, NodeTypes
from undertone_planner.plan.plan import Plan, Setting
from undertone_planner.plan.planner import make_plan


@dataclass(frozen=True, slots=True)
class Alternative:
    """A named setting, and its plan or why there is none."""

    name: str
    outcome: Plan | PlanRefusedError


def alternative(name: str, setting: Setting, load: Load) -> Alternative:
    """The plan of a setting, or its refusal."""
    try:
        return Alternative(name, make_plan(setting, load))
    except PlanRefusedError as refusal:
        return Alternative(name, refusal)


def what_ifs(plan: Plan, types: NodeTypes) -> Sequence[Alternative]:
    """The plan itself in closed form, and alternatives to it."""
    changes = [("this plan", plan.setting), *_changes(plan, types)]
    return [alternative(name, setting, plan.load) for name, setting in changes]


def _changes(plan: Plan, types: NodeTypes) -> Iterator[tuple[str, Setting]]:
    setting = plan.setting
    yield ("on demand" if setting.spot else "spot"), replace(setting, spot=not setting.spot)
    amx = setting.node if setting.node.amx else _cheapest_amx(types)
    if amx is not None:
        if amx != setting.node:
            yield f"{setting.precision} on {amx.name} (AMX)", replace(setting, node=amx)
        if setting.precision != "bf16":
            yield f"bf16 on {amx.name} (AMX)", replace(setting, node=amx, precision="bf16")
    if setting.precision == "bf16":
        yield "fp32", replace(setting, precision="fp32")
    if plan.load.batch is not None and setting.values.autoscaler != "none":
        for pods in sorted({max(2, plan.pods // 2), plan.pods} - {setting.values.min_replicas}):
            values = replace(setting.values, min_replicas=pods, max_replicas=max(pods, setting.values.max_replicas))
            yield f"minReplicas {pods} before the job", replace(setting, values=values)


def _cheapest_amx(types: NodeTypes) -> NodeType | None:
    found = [node for node in types.types.values() if node.amx]
    return min(found, key=lambda node: node.on_demand / node.cores, default=None)
