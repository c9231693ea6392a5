"""What the pod may compute with, and how many threads go with it."""

from undertone_sidecar.cpu.isa import InstructionSet
from undertone_sidecar.cpu.machine import Machine, read_machine
from undertone_sidecar.cpu.plan import Plan, oversubscribed, plan
from undertone_sidecar.cpu.settings import ThreadSettings

__all__ = ["InstructionSet", "Machine", "Plan", "ThreadSettings", "oversubscribed", "plan", "read_machine"]
