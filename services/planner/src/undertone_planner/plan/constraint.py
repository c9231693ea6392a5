"""What limits a plan, and the refusal of a plan that cannot work."""

import enum
from dataclasses import dataclass


class Constraint(enum.StrEnum):
    """A limit of a plan."""

    DEADLINE = "deadline"
    P99 = "p99"
    MIN_REPLICAS = "minReplicas"
    MAX_REPLICAS = "maxReplicas"
    NODE_QUOTA = "node quota"
    NODE_SIZE = "node size"
    MEMORY = "memory"
    PRECISION = "precision"
    CLIENT_LIMIT = "client's limit"
    BOOT_TIME = "boot time"
    CPU_PERCENT = "cpuPercent"
    SPOT = "spot"


@dataclass(frozen=True, slots=True)
class Limitation:
    """A constraint of a plan that works, with the figures."""

    constraint: Constraint
    reason: str

    def __str__(self) -> str:
        return f"{self.constraint}: {self.reason}"


class PlanRefusedError(Exception):
    """No plan works under these settings. The message names the binding constraint and a remedy."""

    def __init__(self, constraint: Constraint, reason: str, remedy: str) -> None:
        super().__init__(f"{constraint}: {reason}: {remedy}")
        self.constraint = constraint
        self.reason = reason
        self.remedy = remedy
