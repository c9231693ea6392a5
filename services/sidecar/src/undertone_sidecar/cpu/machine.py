"""What a container may compute with."""

import os
from dataclasses import dataclass
from pathlib import Path

from undertone_sidecar.cpu.cgroup import read_quota
from undertone_sidecar.cpu.isa import InstructionSet, read_instruction_set
from undertone_sidecar.cpu.topology import read_allowed, read_cores


@dataclass(frozen=True, slots=True)
class Machine:
    """`allowed` CPUs (hardware threads) that are `cores` physical ones, and `quota`, the CPUs' worth of time per time."""

    allowed: int
    cores: int
    quota: float | None
    instruction_set: InstructionSet

    @property
    def cpus(self) -> float:
        """CPUs' worth of time that can be used."""
        return self.allowed if self.quota is None else min(self.allowed, self.quota)

    def __str__(self) -> str:
        quota = "no quota" if self.quota is None else f"a cgroup quota of {self.quota:g}"
        return f"{self.cpus:g} CPUs ({self.allowed} allowed, which are {self.cores} physical cores; {quota})"


def read_machine(root: Path = Path("/")) -> Machine:
    """From the kernel's files below `root`; where it has none, every CPU counts as a core, without a quota."""
    allowed = read_allowed(root)
    if not allowed:
        count = os.cpu_count() or 1
        return Machine(count, count, None, read_instruction_set(root))
    return Machine(len(allowed), read_cores(root, allowed), read_quota(root), read_instruction_set(root))
