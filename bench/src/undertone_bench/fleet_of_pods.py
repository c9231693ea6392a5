"""Real pods behind the chart's Envoy, which can be killed."""

import asyncio
import contextlib
import os
import signal
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
from undertone_bench.pods import Pod, running_pod
from undertone_bench.processes import first_cpus, free_ports


@dataclass(frozen=True, slots=True)
class PodFleet:
    """A running fleet.

    Attributes:
        target: Address of Envoy.
        start_seconds: Duration of the start of one pod while the others run.
        kill: Kills a pod, which starts again at once. Returns when it is ready.
        model_servers: Addresses of the model servers. Empty if they are fake.
        model_calls: Calls to each of them at once.
    """

    target: str
    start_seconds: float
    kill: Callable[[], Awaitable[None]]
    model_servers: Sequence[str] = ()
    model_calls: int = 1


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
    flags = [f"--host={LOOPBACK}", *sidecar_flags]
    ports = free_ports(count)
    with contextlib.ExitStack() as stack:
        pods = [
            stack.enter_context(contextlib.closing(_ServedPod(experiment, flags, port, cpu)))
            for port, cpu in zip(ports, first_cpus(count), strict=True)
        ]
        running = [pod.start() for pod in pods]

        async def kill() -> None:
            pods[0].kill()
            await asyncio.to_thread(pods[0].start)

        yield PodFleet(
            target=stack.enter_context(_envoy(ports)),
            start_seconds=running[-1].load_seconds + running[-1].warmup_seconds,
            kill=kill,
            model_servers=[pod.model_server for pod in running],
            model_calls=running[-1].model_calls,
        )


class _ServedPod:
    """A pod with undertone-dev-server, which can be killed and started again on its port."""

    def __init__(self, experiment: Experiment, flags: Sequence[str], port: int, cpu: int) -> None:
        """Starts nothing."""
        self._model, self._flags, self._port, self._cpu = experiment.model, flags, port, cpu
        self._stack = contextlib.ExitStack()
        self._pids: list[int] = []

    def start(self) -> Pod:
        """Starts both processes. Raises BenchError."""
        pod = self._stack.enter_context(running_pod(self._model, self._flags, cpus=[self._cpu], port=self._port))
        self._pids = list(pod.pids.values())
        return pod

    def kill(self) -> None:
        """Kills both processes at once."""
        for pid in self._pids:
            os.kill(pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Stops both processes."""
        self._stack.close()


@contextlib.contextmanager
def _envoy(ports: Sequence[int]) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="undertone-bench-") as name:
        folder = Path(name)
        with running_envoy(Chart(find_helm(folder / "helm"), folder, CHART), ports, folder) as target:
            yield target
