"""Thread counts that fit the CPUs."""

from pathlib import Path
from typing import Any

import pytest
from undertone_sidecar.cpu import ThreadSettings, oversubscription, plan_threads, read_machine
from undertone_sidecar.errors import SettingsError
from undertone_sidecar.testing import running_pod

from tests.unit.support.machines import quota_files, write_machine


@pytest.mark.parametrize(
    ("cpus", "settings", "counts"),
    [
        (2, ThreadSettings(), (2, 1, 2, 10, 1)),
        (0.5, ThreadSettings(), (1, 1, 1, 9, 1)),
        (3.9, ThreadSettings(), (3, 1, 3, 11, 1)),
        (16, ThreadSettings(), (8, 1, 8, 16, 4)),  # 16 hardware threads are 8 cores.
        (2, ThreadSettings(model_server_cpus=6), (6, 1, 6, 14, 2)),
        (2, ThreadSettings(model_server_cpus=6, model_calls=1), (1, 6, 1, 9, 2)),
        (4, ThreadSettings(model_calls=2), (2, 3, 2, 10, 2)),
        (2, ThreadSettings(threads_per_core=2), (1, 1, 1, 9, 1)),
        (4, ThreadSettings(threads_per_core=2), (2, 1, 2, 10, 2)),
        (16, ThreadSettings(threads_per_core=2), (8, 1, 8, 16, 4)),
        (2, ThreadSettings(model_server_cpus=4, threads_per_core=2), (2, 1, 2, 10, 2)),
        (2, ThreadSettings(model_server_cpus=1.5, threads_per_core=2), (1, 1, 1, 9, 2)),
    ],
)
def test_planned_threads_fit_the_cpus(tmp_path: Path, cpus: float, settings: ThreadSettings, counts: tuple[int, ...]) -> None:
    machine = read_machine(write_machine(tmp_path, allowed="0-15", threads=2, files=quota_files(cpus)))
    plan = plan_threads(machine, settings)
    found = (plan.model_calls, plan.intra_op, plan.inter_op, plan.grpc_max_threads, plan.tokenizers)
    assert found == counts
    as_planned = ThreadSettings(
        model_calls=plan.model_calls,
        tokenizer_threads=plan.tokenizers,
        model_server_threads=plan.intra_op,
        model_server_cpus=settings.model_server_cpus,
        threads_per_core=settings.threads_per_core,
    )
    assert list(oversubscription(machine, as_planned)) == []


@pytest.mark.parametrize(
    ("allowed", "quota", "calls"),
    [
        ("0,8", None, 1),  # Exclusive CPUs: both hardware threads of one core.
        ("0,8", 2, 1),
        ("0-1", None, 2),  # One hardware thread of two cores.
        ("0-1,8-9", 4, 2),
        ("0-15", 2, 2),  # The kernel can use two cores.
        ("0-15", None, 8),
    ],
)
def test_exclusive_hardware_threads_of_a_core_count_as_one(
    tmp_path: Path, allowed: str, quota: float | None, calls: int
) -> None:
    files = {} if quota is None else quota_files(quota)
    machine = read_machine(write_machine(tmp_path, allowed=allowed, threads=2, files=files))
    assert plan_threads(machine, ThreadSettings()).model_calls == calls


async def test_an_oversubscribed_sidecar_starts_only_with_auto(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    threads: dict[str, Any] = {"model_server_threads": 10_000, "tokenizer_threads": 1}
    with pytest.raises(SettingsError, match=r"is 10000, .* start it with --tensorflow_intra_op_parallelism"):
        async with running_pod(base, **threads):
            pass
    async with running_pod(base, auto=True, **threads):
        pass
    assert "too many threads; the sidecar corrects only its own: --model-server-threads is 10000" in caplog.text
