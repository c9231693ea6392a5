"""What the executors did, added up in the driver by a Spark accumulator."""

import os
import socket
from dataclasses import dataclass, field

from pyspark.accumulators import AccumulatorParam
from undertone_client import CallCounts


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """What finished tasks did.

    tasks: how many.
    scored: paragraphs that got a score.
    seconds: their time in Python.
    waiting_seconds: the part of it in which there was nothing to do but wait for the service.
    calls: their calls of the service.

    Tasks that were killed add nothing, and a speculative copy adds what it did, too: what is in the table is counted there.
    """

    tasks: int = 0
    scored: int = 0
    seconds: float = 0.0
    waiting_seconds: float = 0.0
    calls: CallCounts = field(default_factory=CallCounts)

    def __add__(self, other: "TaskMetrics") -> "TaskMetrics":
        return TaskMetrics(
            tasks=self.tasks + other.tasks,
            scored=self.scored + other.scored,
            seconds=self.seconds + other.seconds,
            waiting_seconds=self.waiting_seconds + other.waiting_seconds,
            calls=self.calls + other.calls,
        )


ExecutorMetrics = dict[str, TaskMetrics]
"""By executor."""


class ExecutorMetricsParam(AccumulatorParam[ExecutorMetrics]):
    """Tells Spark how metrics are added: `spark.sparkContext.accumulator({}, ExecutorMetricsParam())`."""

    def zero(self, value: ExecutorMetrics) -> ExecutorMetrics:
        return {}

    def addInPlace(self, value1: ExecutorMetrics, value2: ExecutorMetrics) -> ExecutorMetrics:  # noqa: N802 - named by Spark
        for executor, metrics in value2.items():
            value1[executor] = value1.get(executor, TaskMetrics()) + metrics
        return value1


def executor_name() -> str:
    """What this process's executor is called: by Spark on Kubernetes, by YARN, else by its host."""
    return os.environ.get("SPARK_EXECUTOR_POD_NAME") or os.environ.get("CONTAINER_ID") or socket.gethostname()
