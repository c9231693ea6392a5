"""A plan and its figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from undertone_client import Settings

from undertone_planner.calibration import PodCalibration
from undertone_planner.plan.batch_course import Point, node_seconds
from undertone_planner.plan.chart_values import ChartValues
from undertone_planner.plan.constraint import Limitation
from undertone_planner.plan.load import PADDING, Load
from undertone_planner.plan.node_types import NodeType
from undertone_planner.plan.pod_speed import PodSpeed, pods_per_node

HOUR: Final = 3600.0
MONTH_HOURS: Final = 730.0
QUEUED_LONGEST_CALLS: Final = 4
"""Longest calls that a client waits for before its deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where a plan runs, and what it may use.

    Attributes:
        node: The node type.
        values: The values of the chart.
        calibration: The measured speed of a pod.
        calibration_name: Its name in the output.
        reference: Speed of a core of the calibration's machine; see `PodSpeed.on`.
        precision: fp32 or bf16.
        spot: Whether nodes have the spot price and are reclaimed.
        max_nodes: The quota of nodes. None is no quota.
    """

    node: NodeType
    values: ChartValues
    calibration: PodCalibration
    calibration_name: str
    reference: float = 1.0
    precision: str = "fp32"
    spot: bool = False
    max_nodes: int | None = None

    @property
    def pods_per_node(self) -> int:
        """Pods of a full node."""
        return pods_per_node(self.node, self.values)

    @property
    def speed(self) -> PodSpeed:
        """The speed of a pod. The node fits at least one, and supports the precision."""
        return PodSpeed.on(self.node, self.values, self.calibration, reference=self.reference, precision=self.precision)

    @property
    def step_seconds(self) -> float:
        """From the request for a pod on a new node until the pod is ready."""
        calibration = self.calibration
        return self.node.boot_seconds + self.node.pull_seconds + calibration.load_seconds + calibration.warmup_seconds

    @property
    def availability(self) -> float:
        """Share of the time for which a node is not being replaced after a reclaim."""
        if not self.spot:
            return 1.0
        return max(0.0, 1 - self.node.spot_reclaims_per_hour * self.step_seconds / HOUR)

    @property
    def growth(self) -> float:
        """Pods that the autoscaler asks for, as a multiple of saturated ready pods."""
        busiest = self.values.model_cpu_limit / self.values.model_cpu_request
        return min(2.0, busiest / (self.values.cpu_percent / 100))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan that works.

    Attributes:
        setting, load: What was asked for.
        pods: Pods at the peak.
        start_pods: Pods at the start of the batch job: the `minReplicas` of the plan.
        clients: Clients of the batch job. 0 without a batch.
        course: The course of the batch job. Empty without a batch.
        simulated_seconds: Part of the course that the fleet model simulated. 0 is the closed form.
        closed_form_seconds, closed_form_p99_seconds: Figures of the closed form, if the others are
            those of the fleet model.
        steady_rate: Paragraphs a second of the whole fleet in the batch lane. 0 without a batch.
        p99_seconds: Duration of readers' calls. None without readers.
        cpu_percent: The target of the autoscaler that keeps the p99.
        limitations: What limits the plan, the binding constraint first.
    """

    setting: Setting
    load: Load
    pods: int
    start_pods: int
    clients: int
    course: Sequence[Point]
    steady_rate: float
    p99_seconds: float | None
    cpu_percent: int
    limitations: tuple[Limitation, ...]
    simulated_seconds: float = 0.0
    closed_form_seconds: float | None = None
    closed_form_p99_seconds: float | None = None

    @property
    def nodes(self) -> int:
        """Nodes at the peak."""
        return math.ceil(self.pods / self.setting.pods_per_node)

    @property
    def seconds(self) -> float:
        """Duration of the batch job. 0 without a batch."""
        return self.course[-1].seconds if self.course else 0.0

    @property
    def client_timeout(self) -> float:
        """Seconds that an attempt of a client needs: a few of its longest calls."""
        batch = self.load.batch
        if batch is None:
            return 0.0
        tokens = self.load.lengths.tokens[-1] * batch.call_paragraphs * PADDING
        longest = tokens / self.setting.speed.tokens_per_second
        return max(Settings().timeout_seconds, math.ceil(QUEUED_LONGEST_CALLS * longest / 10) * 10.0)

    @property
    def node_hours(self) -> float:
        """Node-hours of the batch job with its ramp and scaling down, or of an hour of readers."""
        if not self.course:
            return float(self.nodes)
        per_node, lead = self.setting.pods_per_node, self.setting.step_seconds
        return node_seconds(self.course, per_node=per_node, lead_seconds=lead, idle=self.start_pods) / HOUR

    @property
    def cost(self) -> float:
        """Price of `node_hours`."""
        return self.node_hours * self.setting.node.price(spot=self.setting.spot)

    @property
    def cost_per_million(self) -> float:
        """Price of a million paragraphs."""
        batch, readers = self.load.batch, self.load.readers
        paragraphs: float = batch.paragraphs if batch else 0
        if readers:
            paragraphs += readers.per_second * (self.seconds or HOUR)
        return self.cost / paragraphs * 1e6

    @property
    def cpu_hours(self) -> float:
        """CPU-hours (hardware threads) of the nodes."""
        return self.node_hours * self.setting.node.vcpus

    @property
    def core_hours(self) -> float:
        """Hours of physical cores of the nodes."""
        return self.node_hours * self.setting.node.cores

    @property
    def monthly_cost(self) -> float:
        """Price of all nodes for a month of 730 hours, as readers need."""
        return self.nodes * MONTH_HOURS * self.setting.node.price(spot=self.setting.spot)
