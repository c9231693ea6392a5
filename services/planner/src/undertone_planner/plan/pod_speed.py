"""The speed of a pod on a node type, from its calibration on another machine."""

import math
from dataclasses import dataclass, replace
from typing import Self

from undertone_planner.calibration import PodCalibration
from undertone_planner.fleet.batching import SHORT_EFFICIENCY
from undertone_planner.plan.chart_values import ChartValues
from undertone_planner.plan.lengths import Lengths
from undertone_planner.plan.load import PADDING
from undertone_planner.plan.node_types import NodeType


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSpeed:
    """The speed of one of the pods of a node that is full of pods.

    A call to the model server takes `seconds_per_call` + `seconds_per_token` x padded tokens while
    `model_calls` such calls run at once.

    Attributes:
        cores: Physical cores of the pod.
        start_seconds: From the start of the containers until the pod is ready.
    """

    cores: float
    seconds_per_call: float
    seconds_per_token: float
    model_calls: int
    batch_tokens: int
    start_seconds: float

    @classmethod
    def on(cls, node: NodeType, values: ChartValues, calibration: PodCalibration, *, reference: float, precision: str) -> Self:
        """The speed on a node type.

        Durations are inversely proportional to the speed of a physical core and to the physical
        cores of a call. A call is one thread, so that it does not use more cores than it had in the
        calibration.

        Args:
            node: The node type. It fits at least one pod.
            values: The resources of the pod.
            calibration: The measured speed.
            reference: Speed of a core of the calibration's machine in the calibration's precision,
                as a multiple of the reference of the table of node types.
            precision: fp32 or bf16.
        """
        calls = values.model_calls
        cores = min(values.model_cpu_limit, node.cores / pods_per_node(node, values))
        measured_cores = min(calibration.cpus, calibration.machine.cores) / calibration.model_calls
        usable = min(cores / calls, max(1.0, measured_cores))
        factor = measured_cores / usable * reference / node.core_speed(precision)
        return cls(
            cores=cores,
            seconds_per_call=calibration.seconds_per_call * factor,
            seconds_per_token=calibration.seconds_per_token * factor,
            model_calls=calls,
            batch_tokens=calibration.batch_tokens,
            start_seconds=calibration.load_seconds + calibration.warmup_seconds,
        )

    @property
    def tokens_per_second(self) -> float:
        """Padded tokens a second of a saturated pod, in full calls."""
        return self.model_calls / (self.seconds_per_call / self.batch_tokens + self.seconds_per_token)

    @property
    def full_call_seconds(self) -> float:
        """Duration of a full call of the batch lane."""
        return self.seconds(self.batch_tokens)

    def seconds(self, tokens: float) -> float:
        """Duration of a call to the model server."""
        return self.seconds_per_call + self.seconds_per_token * tokens

    def beside_readers(self, lengths: Lengths) -> Self:
        """The speed of the batch lane beside readers: the sidecar then shortens its calls.

        A call has as many tokens as take SHORT_EFFICIENCY of its duration, or one paragraph.
        """
        # A random time falls into the call of a paragraph in proportion to its length.
        pairs = zip(lengths.tokens, lengths.counts, strict=True)
        paragraph = sum(count * tokens**2 for tokens, count in pairs) / (lengths.mean * lengths.paragraphs)
        overhead = self.seconds_per_call / self.seconds_per_token
        short = overhead * SHORT_EFFICIENCY / (1 - SHORT_EFFICIENCY)
        return replace(self, batch_tokens=max(1, round(min(self.batch_tokens, max(paragraph, short)))))

    def batch_rate(self, lengths: Lengths) -> float:
        """Paragraphs a second of a saturated pod, batched by length."""
        return self.tokens_per_second / (lengths.mean * PADDING)

    def reader_rate(self, lengths: Lengths) -> float:
        """Calls of one paragraph a second of a saturated pod, without batching."""
        return self.model_calls / self.seconds(lengths.mean)


def pods_per_node(node: NodeType, values: ChartValues) -> int:
    """Pods that fit on a node by their requests of CPU and memory. 0 if none fits."""
    # A tenth of a percent, because quantities are rounded to millicores.
    cpus = math.floor(node.pod_cpus / values.pod_cpus * 1.001)
    return min(cpus, math.floor(node.pod_memory / values.pod_memory))
