"""Pods of the chart as processes: inference pods and Envoy pods."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from undertone_bench.chart import Manifest
from undertone_bench.cluster.container import Container
from undertone_bench.envoy import LOOPBACK, EnvoyDeployment, EnvoyPorts, find_program


class Pod:
    """A pod of a Deployment.

    Attributes:
        name: A name that is unique in the cluster.
        containers: The containers by name.
        terminating: Whether the pod has been deleted.
        ready_since: Time (time.monotonic) since which all containers are ready, or None.
        gone: Set when all containers have ended.
    """

    def __init__(self, name: str, spec: Manifest, folder: Path) -> None:
        self.name = name
        self.terminating = False
        self.ready_since: float | None = None
        self.gone = asyncio.Event()
        self.containers: dict[str, Container] = {}
        self._grace_seconds = float(spec["terminationGracePeriodSeconds"])
        self._folder = folder
        self._deleted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts the pod in the background."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    def delete(self) -> None:
        """Starts the termination: the pod leaves its Service, and its containers are stopped."""
        self.terminating = True
        self._deleted.set()

    def update(self) -> None:
        """Updates `ready_since` from the containers."""
        if not self.containers or not all(container.ready for container in self.containers.values()):
            self.ready_since = None
        elif self.ready_since is None:
            self.ready_since = time.monotonic()

    async def close(self) -> None:
        """Kills the pod."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.gone.set()

    async def _run(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            runs: list[asyncio.Task[None]] = []

            def start(container: Container) -> None:
                runs.append(asyncio.create_task(container.run(), name=f"{self.name}/{container.name}"))

            async def cancel() -> None:
                for run in runs:
                    run.cancel()
                await asyncio.gather(*runs, return_exceptions=True)

            stack.push_async_callback(cancel)
            starting = asyncio.create_task(self._start_containers(start))
            await self._deleted.wait()
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await self._terminate(time.monotonic() + self._grace_seconds)
        self.gone.set()

    async def _start_containers(self, start: Callable[[Container], None]) -> None:
        raise NotImplementedError

    async def _terminate(self, deadline: float) -> None:
        raise NotImplementedError


class InferencePod(Pod):
    """A sidecar on port 50051 of the address `address`, and a fake model server."""

    def __init__(
        self,
        name: str,
        address: str,
        spec: Manifest,
        folder: Path,
        model: Path,
        *,
        settings: Sequence[str],
        server_flags: Sequence[str],
    ) -> None:
        """Creates a pod that is not started.

        Args:
            name: Name of the pod.
            address: Its address in 127.0.0.0/8.
            spec: The rendered spec of the pods.
            folder: An existing folder for the socket and the logs.
            model: Folder of the model's versions.
            settings: Additional flags of the sidecar.
            server_flags: Additional flags of the fake model server.
        """
        super().__init__(name, spec, folder)
        self.address = address
        self._socket = folder / f"{name}.sock"
        rendered = {one["name"]: one for one in (*spec["initContainers"], *spec["containers"])}
        local = {
            "model-dir": model,
            "model-server": f"unix:{self._socket}",
            "host": address,
        }
        given = dict(argument.removeprefix("--").split("=", 1) for argument in rendered["sidecar"]["args"])
        flags = [f"--{flag}={local.get(flag, value)}" for flag, value in given.items()]
        server = [
            sys.executable,
            "-m",
            "undertone_bench.fake_model_server",
            f"unix:{self._socket}",
            model.name,
            *server_flags,
            "--ignore-signals",
        ]
        self._model_server = Container(
            "model-server", server, folder / f"{name}.log", probes=rendered["model-server"], check=self._check_model_server
        )
        self._sidecar = Container(
            "sidecar",
            [find_program("undertone-sidecar"), *flags, *settings],
            folder / f"{name}.log",
            probes=rendered["sidecar"],
            check=self._check_sidecar,
        )
        self.containers = {"model-server": self._model_server, "sidecar": self._sidecar}

    async def _start_containers(self, start: Callable[[Container], None]) -> None:
        start(self._model_server)
        await self._model_server.wait_started()
        start(self._sidecar)

    async def _terminate(self, deadline: float) -> None:
        await self._sidecar.stop(deadline)
        # TF Serving is stopped with SIGKILL, by the script serve.sh.
        await self._model_server.stop(time.monotonic())

    async def _check_model_server(self, _: str) -> bool:
        try:
            writer = (await asyncio.open_unix_connection(self._socket))[1]
        except OSError:
            return False
        writer.close()
        return True

    async def _check_sidecar(self, _: str) -> bool:
        async with grpc.aio.insecure_channel(f"{self.address}:50051") as channel:
            try:
                answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.aio.AioRpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


class EnvoyPod(Pod):
    """Envoy on ports of 127.0.0.1."""

    def __init__(self, name: str, spec: Manifest, folder: Path, deployment: EnvoyDeployment, ports: EnvoyPorts) -> None:
        super().__init__(name, spec, folder)
        self.ports = ports
        self._pre_stop = deployment.pre_stop
        command = deployment.write(folder)
        (self._rendered,) = spec["containers"]
        self._envoy = Container("envoy", command, folder / "envoy.log", probes=self._rendered, check=self._check, folder=folder)
        self.containers = {"envoy": self._envoy}

    async def _start_containers(self, start: Callable[[Container], None]) -> None:
        start(self._envoy)

    async def _terminate(self, deadline: float) -> None:
        hook = await asyncio.create_subprocess_exec(
            *self._pre_stop, cwd=self._folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hook.wait(), deadline - time.monotonic())
        await self._envoy.stop(deadline)

    async def _check(self, probe: str) -> bool:
        path = self._rendered[probe]["httpGet"]["path"]
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.ports.metrics)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            status = await reader.readline()
        except OSError:
            return False
        writer.close()
        return b" 200 " in status


def pod_spec(deployment: Manifest) -> Manifest:
    """The spec of the pods of a Deployment."""
    spec: Manifest = deployment["spec"]["template"]["spec"]
    return spec


@dataclass(frozen=True, slots=True)
class UpdateLimits:
    """Limits of a rolling update.

    Attributes:
        surge: Number of additional pods.
        unavailable: Number of pods that may be unavailable.
        min_ready: Seconds for which a pod must be ready to be available.
    """

    surge: int
    unavailable: int
    min_ready: int

    @classmethod
    def of(cls, deployment: Manifest, replicas: int) -> Self:
        """The limits of a rendered Deployment with this number of pods."""
        update = deployment["spec"]["strategy"]["rollingUpdate"]
        return cls(
            surge=scaled(update["maxSurge"], replicas, up=True),
            unavailable=scaled(update["maxUnavailable"], replicas, up=False),
            min_ready=int(deployment["spec"].get("minReadySeconds", 0)),
        )


def scaled(value: int | str, replicas: int, *, up: bool) -> int:
    """A number, or a percentage of `replicas` rounded up or down, as Kubernetes does."""
    if isinstance(value, int):
        return value
    product = int(value.removesuffix("%")) * replicas
    return -(-product // 100) if up else product // 100
