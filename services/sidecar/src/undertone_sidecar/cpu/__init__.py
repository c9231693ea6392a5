"""CPU resources of the pod, and thread counts that fit them."""

from undertone_sidecar.cpu.machine import InstructionSet, Machine, read_machine
from undertone_sidecar.cpu.thread_plan import ThreadPlan, ThreadSettings, oversubscription, plan_threads

__all__ = [
    "InstructionSet",
    "Machine",
    "ThreadPlan",
    "ThreadSettings",
    "oversubscription",
    "plan_threads",
    "read_machine",
]
