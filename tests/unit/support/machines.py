"""Kernel files of machines: trees of /proc and /sys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

CGROUP2_MOUNT: Final = "30 23 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"


def write_machine(
    root: Path,
    *,
    allowed: str = "0-7",
    threads: int = 1,
    flags: str = "fpu avx2",
    files: Mapping[str, str] | None = None,
) -> Path:
    """Writes the files of a machine with 8 cores, and `threads` hardware threads for each core.

    Sibling threads are half the machine apart, as on most servers. `files` are additional files.
    """
    tree = {
        "proc/self/status": f"Name:\tsidecar\nCpus_allowed:\tff\nCpus_allowed_list:\t{allowed}",
        "proc/cpuinfo": f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: {flags}",
    }
    for cpu in range(16):
        siblings = f"{cpu % 8},{cpu % 8 + 8}" if threads == 2 else str(cpu)
        name = "core_cpus_list" if cpu % 2 else "thread_siblings_list"
        tree[f"sys/devices/system/cpu/cpu{cpu}/topology/{name}"] = siblings
    for name, content in (tree | dict(files or {})).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    return root


def quota_files(cpus: float) -> dict[str, str]:
    """The files of a cgroup v2 quota."""
    return {
        "proc/self/cgroup": "0::/",
        "proc/self/mountinfo": CGROUP2_MOUNT,
        "sys/fs/cgroup/cpu.max": f"{int(cpus * 100_000)} 100000",
    }
