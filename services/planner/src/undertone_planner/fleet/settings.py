"""Settings of a fleet."""

from dataclasses import dataclass, field
from typing import Final

from undertone_planner.calibration import PodCalibration
from undertone_planner.fleet.autoscaler import AutoscalerSettings
from undertone_planner.fleet.balancer import CHART_BALANCER, BalancerSettings
from undertone_planner.fleet.keda import KedaSettings
from undertone_planner.fleet.nodes import NodePoolSettings
from undertone_planner.fleet.pod import PodSettings
from undertone_planner.fleet.scaling_rules import CHART_BEHAVIOR


@dataclass(frozen=True, slots=True)
class Probes:
    """The kubelet's probes.

    An answer takes `seconds_per_call` for each call in flight, because the process that answers
    probes also reads requests: an overloaded pod answers late. After `readiness_failures` late
    answers in a row a pod gets no new calls, and after `liveness_failures` it is restarted. One
    answer in time makes it ready.
    """

    period_seconds: float = 5.0
    timeout_seconds: float = 1.0
    seconds_per_call: float = 0.01
    readiness_failures: int = 2
    liveness_failures: int = 6


SIDECAR_PROBES: Final = Probes(seconds_per_call=0.0)
"""The sidecar answers probes under any load, because it refuses calls that it cannot queue."""


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """A fleet and its cluster.

    pods: number of pods that are ready at the start.
    nodes: None: each pod finds room at once.
    autoscaler: None keeps the number of pods constant.
    keda: further triggers of the autoscaler, which it needs. None: there are none.
    network_seconds: one-way network latency.
    endpoints_seconds: delay until the load balancer knows a change of a pod's readiness.
    """

    pods: int = 4
    pod: PodSettings = field(default_factory=PodSettings)
    probes: Probes = field(default_factory=Probes)
    nodes: NodePoolSettings | None = None
    balancer: BalancerSettings = field(default_factory=BalancerSettings)
    autoscaler: AutoscalerSettings | None = None
    keda: KedaSettings | None = None
    network_seconds: float = 0.001
    endpoints_seconds: float = 1.0


CHART_AUTOSCALER: Final = AutoscalerSettings(min_replicas=2, max_replicas=100, behavior=CHART_BEHAVIOR)
"""The chart's autoscaling values."""


def chart_fleet(
    calibration: PodCalibration,
    *,
    pods: int,
    nodes: NodePoolSettings | None = None,
    autoscaler: AutoscalerSettings | None = CHART_AUTOSCALER,
    keda: KedaSettings | None = None,
) -> FleetSettings:
    """A fleet of calibrated pods behind the chart's Envoy. Change it with `replace`."""
    return FleetSettings(
        pods=pods,
        pod=PodSettings.calibrated(calibration),
        probes=SIDECAR_PROBES,
        nodes=nodes,
        balancer=CHART_BALANCER,
        autoscaler=autoscaler,
        keda=keda,
        endpoints_seconds=2.0,
    )
