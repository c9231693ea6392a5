"""CPUs that may be used, and the physical cores behind them."""

import re
from pathlib import Path


def parse_list(text: str) -> frozenset[int]:
    """CPU numbers in the kernel's list format: "0-3,8". Raises ValueError."""
    numbers: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


def read_allowed(root: Path) -> frozenset[int]:
    """CPUs that this process may run on, by its cpuset and its affinity; empty where the kernel does not tell."""
    try:
        status = (root / "proc/self/status").read_text("utf-8")
    except OSError:
        return frozenset()
    found = re.search(r"^Cpus_allowed_list:\s*(\S+)$", status, re.MULTILINE)
    return parse_list(found[1]) if found else frozenset()


def read_cores(root: Path, cpus: frozenset[int]) -> int:
    """How many physical cores those CPUs are: hardware threads of one core share its units for vectors and matrices."""
    return len({_siblings(root, cpu) for cpu in cpus})


def _siblings(root: Path, cpu: int) -> frozenset[int]:
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    for name in ("core_cpus_list", "thread_siblings_list"):  # the second is the name before Linux 5.3
        try:
            return parse_list((topology / name).read_text("utf-8"))
        except OSError:
            continue
    return frozenset({cpu})
