"""What the planner reads from the kernel's files, and what it makes of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from undertone_sidecar.__main__ import main
from undertone_sidecar.cpu import InstructionSet, ThreadSettings, oversubscribed, plan, read_machine
from undertone_sidecar.errors import SettingsError
from undertone_sidecar.testing import pod

V2 = "30 23 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    return root


def machine(
    root: Path,
    *,
    allowed: str = "0-7",
    threads: int = 1,
    flags: str = "fpu avx2",
    files: Mapping[str, str] | None = None,
) -> Path:
    """A tree of /proc and /sys: `threads` to a core, numbered as on most servers, siblings half the machine apart."""
    tree = {
        "proc/self/status": f"Name:\tsidecar\nCpus_allowed:\tff\nCpus_allowed_list:\t{allowed}",
        "proc/cpuinfo": f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: {flags}",
    }
    for cpu in range(16):
        siblings = f"{cpu % 8},{cpu % 8 + 8}" if threads == 2 else str(cpu)
        name = "core_cpus_list" if cpu % 2 else "thread_siblings_list"
        tree[f"sys/devices/system/cpu/cpu{cpu}/topology/{name}"] = siblings
    return write(root, tree | dict(files or {}))


CGROUPS = {
    "none": ({}, None),
    "v2 in a namespace": (
        {
            "proc/self/cgroup": "0::/",
            "proc/self/mountinfo": V2,
            "sys/fs/cgroup/cpu.max": "150000 100000",
        },
        1.5,
    ),
    "v2 unlimited": (
        {"proc/self/cgroup": "0::/", "proc/self/mountinfo": V2, "sys/fs/cgroup/cpu.max": "max 100000"},
        None,
    ),
    "v2 with a tighter group above": (
        {
            "proc/self/cgroup": "0::/pods/burstable/pod1/sidecar",
            "proc/self/mountinfo": V2,
            "sys/fs/cgroup/pods/burstable/pod1/sidecar/cpu.max": "max 100000",
            "sys/fs/cgroup/pods/burstable/pod1/cpu.max": "200000 50000",
            "sys/fs/cgroup/pods/cpu.max": "6400000 100000",
        },
        4.0,
    ),
    "v1": (
        {
            "proc/self/cgroup": "3:memory:/a\n2:cpu,cpuacct:/a\n0::/a",
            "proc/self/mountinfo": V1.format(root="/") + "\n" + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
            "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "300000",
            "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000",
        },
        3.0,
    ),
    "v1 unlimited": (
        {
            "proc/self/cgroup": "2:cpu,cpuacct:/",
            "proc/self/mountinfo": V1.format(root="/"),
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
        None,
    ),
    "v1 in a container without a namespace": (
        {
            "proc/self/cgroup": "2:cpuacct,cpu:/docker/abc",
            "proc/self/mountinfo": V1.format(root="/docker/abc"),
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
        0.5,
    ),
    "v2 of a group that is not mounted here": (
        {"proc/self/cgroup": "0::/../other", "proc/self/mountinfo": V2, "sys/fs/cgroup/cpu.max": "200000 100000"},
        2.0,
    ),
}


@pytest.mark.parametrize("case", CGROUPS)
def test_the_quota_is_found_in_either_version(tmp_path: Path, case: str) -> None:
    files, quota = CGROUPS[case]
    assert read_machine(machine(tmp_path, files=files)).quota == quota


@pytest.mark.parametrize(
    ("allowed", "threads", "cpus", "cores"),
    [("0-7", 1, 8, 8), ("0-15", 2, 16, 8), ("0-1,8-9", 2, 4, 2), ("3", 2, 1, 1), ("0,2,4", 2, 3, 3)],
)
def test_hardware_threads_of_a_core_count_once(tmp_path: Path, allowed: str, threads: int, cpus: int, cores: int) -> None:
    found = read_machine(machine(tmp_path, allowed=allowed, threads=threads))
    assert (found.allowed, found.cores) == (cpus, cores)


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
def test_the_fastest_instruction_set_is_named(tmp_path: Path, flags: str, expected: InstructionSet, bf16: bool) -> None:
    found = read_machine(machine(tmp_path, flags=flags)).instruction_set
    assert (found, found.has_bf16) == (expected, bf16)


def test_a_kernel_without_these_files_is_no_failure(tmp_path: Path) -> None:
    found = read_machine(tmp_path)
    assert found.cpus == found.cores == found.allowed >= 1
    assert found.instruction_set is InstructionSet.GENERIC


def quota(cpus: float) -> dict[str, str]:
    files, _ = CGROUPS["v2 in a namespace"]
    return files | {"sys/fs/cgroup/cpu.max": f"{int(cpus * 100_000)} 100000"}


@pytest.mark.parametrize(
    ("cpus", "settings", "counts"),
    [
        (2, ThreadSettings(), (2, 1, 2, 10, 1)),
        (0.5, ThreadSettings(), (1, 1, 1, 9, 1)),
        (3.9, ThreadSettings(), (3, 1, 3, 11, 1)),
        (16, ThreadSettings(), (8, 1, 8, 16, 4)),  # sixteen hardware threads are eight cores
        (2, ThreadSettings(model_server_cpus=6), (6, 1, 6, 14, 2)),
        (2, ThreadSettings(model_server_cpus=6, model_calls=1), (1, 6, 1, 9, 2)),
        (4, ThreadSettings(model_calls=2), (2, 3, 2, 10, 2)),
        (4, ThreadSettings(batching="passthrough"), (16, 4, 1, 24, 2)),
        (4, ThreadSettings(batching="passthrough", model_calls=64), (64, 4, 1, 72, 2)),
    ],
)
def test_counts_fit_the_cpus(tmp_path: Path, cpus: float, settings: ThreadSettings, counts: tuple[int, ...]) -> None:
    planned = plan(read_machine(machine(tmp_path, allowed="0-15", threads=2, files=quota(cpus))), settings)
    found = (planned.calls, planned.intra_op, planned.inter_op, planned.grpc_max_threads, planned.tokenizers)
    assert found == counts
    fitting = ThreadSettings(
        batching=settings.batching,
        model_calls=planned.calls,
        tokenizer_threads=planned.tokenizers,
        model_server_threads=planned.intra_op,
        model_server_cpus=settings.model_server_cpus,
    )
    assert list(oversubscribed(read_machine(tmp_path), fitting)) == []


def test_the_command_prints_for_people_programs_and_shells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = f"--root={machine(tmp_path, flags='avx512f avx512_vnni', files=quota(2))}"
    assert main(["plan", root]) == 0
    text = capsys.readouterr().out
    assert "2 CPUs (8 allowed, which are 8 physical cores; a cgroup quota of 2)" in text
    assert "AVX512-VNNI (for a model in fp32; bf16 would be computed in software" in text
    assert "--tensorflow_intra_op_parallelism=1 --tensorflow_inter_op_parallelism=2 --grpc_max_threads=10" in text
    assert "--model-calls=2" in text
    assert main(["plan", root, "--json", "--model-server-cpus=3500m"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cpus"], found["cpu_quota"], found["tensorflow_inter_op_parallelism"]) == (2.0, 2.0, 3)
    assert main(["plan", root, "--format", "shell"]) == 0
    assert "export UNDERTONE_TENSORFLOW_INTER_OP_PARALLELISM=2\n" in capsys.readouterr().out


def test_more_threads_than_cpus_are_refused_with_the_numbers_or_corrected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"--root={machine(tmp_path, files=quota(2))}"
    given = ["plan", root, "--tokenizer-threads=8", "--model-server-threads=64", "--model-calls=3"]
    assert main(given) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "--tokenizer-threads is 8, but the sidecar has 2 CPUs (8 allowed" in output.err
    assert "the model server has 64 threads inside an operation" in output.err
    assert "start it with --tensorflow_intra_op_parallelism=1" in output.err
    assert (
        "--model-calls is 3, each with a thread of its own, but the model server runs on the sidecar's machine, 2" in output.err
    )
    assert main([*given, "--auto"]) == 0
    output = capsys.readouterr()
    assert "--tokenizer-threads=1 --model-calls=2" in output.out
    assert output.err.count("corrected") == 3
    assert main(["plan", "--format=xml"]) == 2
    assert "--format is 'xml'; choose one of text, json, shell" in capsys.readouterr().err


async def test_a_sidecar_does_not_start_oversubscribed_unless_it_may_correct_that(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    threads: dict[str, Any] = {"model_server_threads": 10_000, "tokenizer_threads": 1}
    with pytest.raises(SettingsError, match=r"10000 threads .* start it with --tensorflow_intra_op_parallelism"):
        async with pod(base, **threads):
            pass
    async with pod(base, auto=True, **threads):
        pass
    assert "too many threads, corrected where it is up to the sidecar: the model server has 10000" in caplog.text
