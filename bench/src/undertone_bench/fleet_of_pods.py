"""Real pods behind the chart's Envoy, which can be killed."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from undertone_planner.calibration import PodCalibration

from undertone_bench.chart import CHART, Chart, find_helm
from undertone_bench.envoy import LOOPBACK, running_envoy
from undertone_bench.experiment import Experiment
from undertone_bench.lone_sidecar import LoneSidecar
from undertone_bench.pods import running_pod
from undertone_bench.processes import first_cpus, free_ports


@dataclass(frozen=True, slots=True)
class PodFleet:
    """A running fleet.

    Attributes:
        target: Address of Envoy.
        start_seconds: Duration of the start of one pod while the others run.
        kill: Kills a pod, which starts again at once. Returns when it is ready. None if the pods
            cannot be killed.
    """

    target: str
    start_seconds: float
    kill: Callable[[], Awaitable[None]] | None


@contextlib.contextmanager
def planted_fleet(experiment: Experiment, calibration: PodCalibration, count: int) -> Iterator[PodFleet]:
    """Sidecars with fake model servers, whose calls take as long as in the calibration.

    The calls wait instead of computing, so that pods do not share the CPUs of this machine.

    Raises:
        BenchError: A process ended. The message contains its log.
    """
    server_flags = [f"--seconds={calibration.seconds_per_call}", f"--token-seconds={calibration.seconds_per_token}"]
    ports = free_ports(count)
    with contextlib.ExitStack() as stack:
        pods = []
        for port in ports:
            flags = [
                f"--host={LOOPBACK}",
                f"--port={port}",
                f"--model-calls={calibration.model_calls}",
                f"--batch-tokens={calibration.batch_tokens}",
                "--auto",
            ]
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="undertone-bench-")))
            pods.append(LoneSidecar(experiment, folder, flags=flags, server_flags=server_flags))
            stack.callback(pods[-1].stop)
            started = time.perf_counter()
            pods[-1].start()
        start_seconds = time.perf_counter() - started

        async def kill() -> None:
            pods[0].kill()
            await asyncio.to_thread(pods[0].start)

        yield PodFleet(stack.enter_context(_envoy(ports)), start_seconds, kill)


@contextlib.contextmanager
def served_fleet(experiment: Experiment, sidecar_flags: Sequence[str], count: int) -> Iterator[PodFleet]:
    """Pods with undertone-dev-server, each on one CPU.

    Raises:
        BenchError: There are fewer CPUs, or a process ended. The message contains its log.
    """
    cpus = first_cpus(count)
    with contextlib.ExitStack() as stack:
        flags = [f"--host={LOOPBACK}", *sidecar_flags]
        pods = [stack.enter_context(running_pod(experiment.model, flags, cpus=[cpu])) for cpu in cpus]
        ports = [int(pod.target.rsplit(":", 1)[1]) for pod in pods]
        start_seconds = pods[-1].load_seconds + pods[-1].warmup_seconds
        yield PodFleet(stack.enter_context(_envoy(ports)), start_seconds, None)


@contextlib.contextmanager
def _envoy(ports: Sequence[int]) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="undertone-bench-") as name:
        folder = Path(name)
        with running_envoy(Chart(find_helm(folder / "helm"), folder, CHART), ports, folder) as target:
            yield target
