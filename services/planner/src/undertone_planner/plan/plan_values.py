"""The values of the chart that a plan sets."""

import math
from collections.abc import Mapping

from undertone_planner.plan.plan import Plan
from undertone_planner.plan.quantities import cpu_text
from undertone_planner.plan.values_file import Scalar


def plan_values(plan: Plan) -> Mapping[str, Scalar]:
    """Values by their keys. They set the fleet, the resources of its pods, and the batch job."""
    values = plan.setting.values
    changes: dict[str, Scalar] = {}
    if values.autoscaler == "none":
        changes["autoscaling.replicas"] = plan.pods
    else:
        changes["autoscaling.minReplicas"] = plan.start_pods
        if plan.load.batch is not None:  # else the autoscaler may add pods at an unexpected peak
            changes["autoscaling.maxReplicas"] = plan.pods
        changes["autoscaling.cpuPercent"] = plan.cpu_percent
    changes["sidecar.resources.requests.cpu"] = cpu_text(values.sidecar_cpu_request)
    changes["modelServer.resources.requests.cpu"] = cpu_text(values.model_cpu_request)
    changes["modelServer.resources.limits.cpu"] = cpu_text(values.model_cpu_limit)
    changes["modelServer.threadsPerCore"] = values.threads_per_core
    if plan.setting.precision == "bf16":
        changes["model.precision"] = "bf16"
    if values.karpenter:
        node = plan.setting.node
        changes["nodePool.karpenter.limits.cpu"] = str(plan.nodes * node.vcpus)
        changes["nodePool.karpenter.limits.memory"] = f"{math.ceil(plan.nodes * node.memory_gib)}Gi"
    if plan.load.batch is not None:
        changes["batch.backfill.deadlineSeconds"] = math.ceil(plan.load.batch.within_seconds)
        if values.runner == "kubernetes":
            changes["batch.executors.instances"] = math.ceil(plan.clients / values.executor_cores)
    return changes
