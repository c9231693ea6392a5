"""Resources of a container: hardware threads, physical cores, quota, instruction set, memory."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from undertone_sidecar.cpu.cgroup import read_memory_limit, read_quota


class InstructionSet(Enum):
    """Instruction sets that speed up matrix products, fastest first.

    The flags are those of /proc/cpuinfo. A CPU has the instruction set if it has all of them.
    """

    AMX = "AMX", ("amx_tile", "amx_bf16")
    AVX512_BF16 = "AVX512-BF16", ("avx512_bf16",)
    AVX512_VNNI = "AVX512-VNNI", ("avx512_vnni",)
    AVX512 = "AVX512", ("avx512f",)
    AVX_VNNI = "AVX-VNNI", ("avx_vnni", "avx2")
    AVX2 = "AVX2", ("avx2",)
    GENERIC = "generic", ()

    def __init__(self, label: str, flags: tuple[str, ...]) -> None:
        self.label = label
        self.flags = flags

    @property
    def has_bf16(self) -> bool:
        """Whether the CPU has bfloat16 instructions. Emulated bfloat16 is slower than float32."""
        return self in (InstructionSet.AMX, InstructionSet.AVX512_BF16)


@dataclass(frozen=True, slots=True)
class Machine:
    """CPU resources and memory.

    Attributes:
        allowed: Hardware threads that the process may use.
        cores: Physical cores of these hardware threads.
        quota: CPUs that the cgroup allows on average. None without a limit.
        instruction_set: Fastest instruction set of the CPU.
        memory: Bytes of memory that the process may use: the cgroup's limit, or the memory of the
            machine if that is smaller. None if it is unknown.
    """

    allowed: int
    cores: int
    quota: float | None
    instruction_set: InstructionSet
    memory: int | None = None

    @property
    def cpus(self) -> float:
        """Number of CPUs that the process can use on average."""
        return self.allowed if self.quota is None else min(self.allowed, self.quota)

    @property
    def threads_per_core(self) -> int:
        """Hardware threads of each physical core that the process may use, at least 1."""
        return max(1, self.allowed // self.cores)

    def busy_cores(self, cpus: float) -> float:
        """Physical cores that `cpus` CPUs are worth while all hardware threads are in use."""
        return min(self.cores, cpus / self.threads_per_core)

    def __str__(self) -> str:
        quota = "no cgroup quota" if self.quota is None else f"a cgroup quota of {self.quota:g}"
        return f"{self.cpus:g} CPUs ({self.allowed} hardware threads on {self.cores} physical cores, {quota})"


def read_machine(root: Path = Path("/")) -> Machine:
    """Reads /proc and /sys in `root`. Without them, every CPU is a core, and there is no quota."""
    allowed = _read_allowed(root)
    if not allowed:
        count = os.cpu_count() or 1
        return Machine(count, count, None, _read_instruction_set(root), _read_memory(root))
    cores = {_siblings(root, cpu) for cpu in allowed}
    return Machine(len(allowed), len(cores), read_quota(root), _read_instruction_set(root), _read_memory(root))


def _read_memory(root: Path) -> int | None:
    """The memory of the machine, or the limit of the cgroup if it is lower. In bytes.

    The root group of cgroup v1 has a limit beyond the memory of any machine.
    """
    limits = [read_memory_limit(root)]
    with suppress(OSError):
        found = re.search(r"^MemTotal:\s*(\d+) kB$", (root / "proc/meminfo").read_text("utf-8"), re.MULTILINE)
        limits.append(int(found[1]) * 1024 if found else None)
    return min((limit for limit in limits if limit is not None), default=None)


def _read_allowed(root: Path) -> frozenset[int]:
    """CPUs of the process by cpuset and affinity. Empty if the kernel does not provide them."""
    try:
        status = (root / "proc/self/status").read_text("utf-8")
    except OSError:
        return frozenset()
    found = re.search(r"^Cpus_allowed_list:\s*(\S+)$", status, re.MULTILINE)
    return _parse_list(found[1]) if found else frozenset()


def _siblings(root: Path, cpu: int) -> frozenset[int]:
    """Hardware threads of the same core, which share its vector and matrix units."""
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    for name in ("core_cpus_list", "thread_siblings_list"):  # The second name is that of Linux before 5.3.
        try:
            return _parse_list((topology / name).read_text("utf-8"))
        except OSError:
            continue
    return frozenset({cpu})


def _parse_list(text: str) -> frozenset[int]:
    """CPU numbers in the kernel's list format: "0-3,8". Raises ValueError."""
    numbers: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


def _read_instruction_set(root: Path) -> InstructionSet:
    """Fastest instruction set of the CPU. GENERIC if it is unknown, or the CPU is not x86."""
    try:
        cpuinfo = (root / "proc/cpuinfo").read_text("utf-8")
    except OSError:
        return InstructionSet.GENERIC
    found = re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)
    flags = set(found[1].split()) if found else set()
    return next(candidate for candidate in InstructionSet if flags.issuperset(candidate.flags))
