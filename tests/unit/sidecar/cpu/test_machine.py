"""CPU resources read from the kernel's files."""

from pathlib import Path

import pytest
from undertone_sidecar.cpu import InstructionSet, read_machine

from tests.unit.support.machines import CGROUP2_MOUNT, quota_files, write_machine

CGROUP1_MOUNT = "32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct"

QUOTAS = {
    "no cgroup": ({}, None),
    "v2 in a namespace": (quota_files(1.5), 1.5),
    "v2 unlimited": (quota_files(0) | {"sys/fs/cgroup/cpu.max": "max 100000"}, None),
    "v2 with a tighter group above": (
        {
            "proc/self/cgroup": "0::/pods/burstable/pod1/sidecar",
            "proc/self/mountinfo": CGROUP2_MOUNT,
            "sys/fs/cgroup/pods/burstable/pod1/sidecar/cpu.max": "max 100000",
            "sys/fs/cgroup/pods/burstable/pod1/cpu.max": "200000 50000",
            "sys/fs/cgroup/pods/cpu.max": "6400000 100000",
        },
        4.0,
    ),
    "v1": (
        {
            "proc/self/cgroup": "3:memory:/a\n2:cpu,cpuacct:/a\n0::/a",
            "proc/self/mountinfo": CGROUP1_MOUNT.format(root="/")
            + "\n"
            + CGROUP2_MOUNT.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
            "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "300000",
            "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000",
        },
        3.0,
    ),
    "v1 unlimited": (
        {
            "proc/self/cgroup": "2:cpu,cpuacct:/",
            "proc/self/mountinfo": CGROUP1_MOUNT.format(root="/"),
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
        None,
    ),
    "v1 in a container without a namespace": (
        {
            "proc/self/cgroup": "2:cpuacct,cpu:/docker/abc",
            "proc/self/mountinfo": CGROUP1_MOUNT.format(root="/docker/abc"),
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
        0.5,
    ),
    "v2 of a group that is not mounted": (quota_files(2) | {"proc/self/cgroup": "0::/../other"}, 2.0),
}


@pytest.mark.parametrize("case", QUOTAS)
def test_the_quota_of_both_cgroup_versions_is_read(tmp_path: Path, case: str) -> None:
    files, quota = QUOTAS[case]
    assert read_machine(write_machine(tmp_path, files=files)).quota == quota


@pytest.mark.parametrize(
    ("allowed", "threads", "cpus", "cores"),
    [("0-7", 1, 8, 8), ("0-15", 2, 16, 8), ("0-1,8-9", 2, 4, 2), ("3", 2, 1, 1), ("0,2,4", 2, 3, 3)],
)
def test_hardware_threads_of_one_core_count_as_one_core(
    tmp_path: Path, allowed: str, threads: int, cpus: int, cores: int
) -> None:
    machine = read_machine(write_machine(tmp_path, allowed=allowed, threads=threads))
    assert (machine.allowed, machine.cores) == (cpus, cores)


@pytest.mark.parametrize(
    ("flags", "expected", "bf16"),
    [
        ("avx2 avx512f avx512_vnni avx512_bf16 amx_tile amx_bf16 amx_int8", InstructionSet.AMX, True),
        ("avx2 avx512f avx512_vnni avx512_bf16", InstructionSet.AVX512_BF16, True),
        ("avx2 avx512f avx512_vnni", InstructionSet.AVX512_VNNI, False),
        ("avx2 avx512f", InstructionSet.AVX512, False),
        ("avx2 avx_vnni", InstructionSet.AVX_VNNI, False),
        ("sse4_2 avx avx2 fma", InstructionSet.AVX2, False),
        ("sse4_2", InstructionSet.GENERIC, False),
    ],
)
def test_the_fastest_instruction_set_is_found(tmp_path: Path, flags: str, expected: InstructionSet, bf16: bool) -> None:
    found = read_machine(write_machine(tmp_path, flags=flags)).instruction_set
    assert (found, found.has_bf16) == (expected, bf16)


@pytest.mark.parametrize(
    ("files", "memory"),
    [
        (quota_files(2), None),
        (quota_files(2) | {"proc/meminfo": "MemTotal:       16000 kB\nMemFree: 1 kB"}, 16_384_000),
        (quota_files(2) | {"sys/fs/cgroup/memory.max": "max", "proc/meminfo": "MemTotal: 16000 kB"}, 16_384_000),
        (quota_files(2) | {"sys/fs/cgroup/memory.max": "5000000", "proc/meminfo": "MemTotal: 16000 kB"}, 5_000_000),
        (
            {
                "proc/self/cgroup": "3:memory:/a\n2:cpu,cpuacct:/a\n0::/a",
                "proc/self/mountinfo": "32 31 0:29 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "7000000",
            },
            7_000_000,
        ),
    ],
)
def test_the_memory_is_the_limit_of_the_cgroup_or_that_of_the_machine(
    tmp_path: Path, files: dict[str, str], memory: int | None
) -> None:
    assert read_machine(write_machine(tmp_path, files=files)).memory == memory


def test_a_kernel_without_these_files_has_default_values(tmp_path: Path) -> None:
    machine = read_machine(tmp_path)
    assert machine.cpus == machine.cores == machine.allowed >= 1
    assert machine.instruction_set is InstructionSet.GENERIC
