"""What the executors did, added up in the driver by a Spark accumulator."""

import os
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from pyspark.accumulators import AccumulatorParam


@dataclass(slots=True)
class Effort:
    """What finished tasks did: `seconds` is their time in Python, `waiting_seconds` the part of it without anything to do but
    wait for the service; `outcomes` counts paragraphs by gRPC status.

    Tasks that were killed add nothing; one of which a speculative copy also finished adds twice.
    """

    tasks: int = 0
    seconds: float = 0.0
    waiting_seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: "Effort") -> Self:
        self.tasks += other.tasks
        self.seconds += other.seconds
        self.waiting_seconds += other.waiting_seconds
        self.outcomes.update(other.outcomes)
        return self


Efforts = dict[str, Effort]
"""By executor."""


class EffortsParam(AccumulatorParam[Efforts]):
    """Tells Spark how efforts are added."""

    def zero(self, value: Efforts) -> Efforts:
        return {}

    def addInPlace(self, value1: Efforts, value2: Efforts) -> Efforts:  # noqa: N802 - named by Spark
        for executor, effort in value2.items():
            value1.setdefault(executor, Effort())
            value1[executor] += effort
        return value1


def executor_name() -> str:
    """What this process's executor is called: by Spark on Kubernetes, by YARN on EMR, else by its host."""
    environment = os.environ
    return environment.get("SPARK_EXECUTOR_POD_NAME") or environment.get("CONTAINER_ID") or socket.gethostname()
