"""A pod in one process: a sidecar, a fake model server, and a caller, over real sockets."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch
from urllib.request import urlopen

import click
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from undertone_protos.v1 import classifier_pb2_grpc

from undertone_sidecar.lengths import PaddedLengths
from undertone_sidecar.settings import Settings
from undertone_sidecar.settings_options import settings_options
from undertone_sidecar.sidecar import Sidecar
from undertone_sidecar.testing.model import LABELS, MAX_TOKENS
from undertone_sidecar.testing.tf_serving import FakeTFServing


def read_settings(*arguments: str, **environment: str) -> Settings:
    """The settings that the command reads from these arguments and environment variables.

    Raises:
        click.UsageError: A value is invalid.
    """

    @click.command
    @settings_options()
    def command(settings: Settings) -> Settings:
        return settings

    with patch.dict(os.environ, environment, clear=True):
        settings: Settings = command.main(arguments, prog_name="undertone-sidecar", standalone_mode=False)
        return settings


@dataclass(frozen=True, slots=True, eq=False)
class Pod:
    """A running pod.

    Attributes:
        serving: The fake model server.
        serving_address: Address of the fake model server.
        sidecar: The sidecar.
        channel: A caller's channel to the sidecar.
        stub: A caller's stub on the channel.
        stop: Starts the drain of the sidecar when set.
        force_stop: Ends the drain when set.
        run: Returns whether the drain finished all calls.
    """

    serving: FakeTFServing
    serving_address: str
    sidecar: Sidecar
    channel: grpc.aio.Channel
    stub: "classifier_pb2_grpc.ClassifierAsyncStub"
    stop: asyncio.Event
    force_stop: asyncio.Event
    run: asyncio.Task[bool]

    async def wait_health(self, *, serving: bool, service: str = "") -> None:
        """Waits for a health status by a health watch, as a load balancer does."""
        wanted = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        watch = health_pb2_grpc.HealthStub(self.channel).Watch(health_pb2.HealthCheckRequest(service=service))
        async for response in watch:
            if response.status == wanted:
                watch.cancel()
                return

    async def metrics(self) -> str:
        """The metrics in Prometheus' text format."""

        def get() -> str:
            with urlopen(f"http://localhost:{self.sidecar.metrics_port}/metrics") as response:
                return str(response.read().decode())

        return await asyncio.to_thread(get)

    async def wait_metric(self, name: str, value: float) -> None:
        """Waits until a metric has the value. `name` is a part of its name and labels."""
        while not any(name in line and line.endswith(f" {value:.1f}") for line in (await self.metrics()).splitlines()):
            pass


@asynccontextmanager
async def running_pod(
    base: Path, *, ready: bool = True, labels: int = len(LABELS), multi_label: bool = False, **settings: object
) -> AsyncIterator[Pod]:
    """Starts a pod for the model in `base`. The model server serves version 1.

    A pod with a multi-label model:

        write_version(base, 1, labels=("joy", "anger"), thresholds=(0.5, 0.25))
        async with running_pod(base, labels=2, multi_label=True) as pod:
            response = await pod.stub.Classify(...)

    Args:
        base: Folder of the versions.
        labels: Number of labels of the model server's scores.
        multi_label: Whether its scores are independent (sigmoid) and not distributions (softmax).
        ready: Starts the model server, and waits until the sidecar is ready and has warmed up.
        settings: Fields of Settings. By default, ports are free ones, sizes fit the model of
            `write_version`, and there is one call to the model server at a time.
    """
    address = f"unix:{base.parent / 'model.sock'}"
    defaults = {"port": 0, "metrics_port": 0, "chunk_overlap": 8, "model_calls": 1, "batch_tokens": 128, "poll_seconds": 0.02}
    serving = FakeTFServing(base.name, 1, labels=labels, multi_label=multi_label)
    sidecar = Sidecar(Settings(model_dir=base, model_server=address, **(defaults | settings)))  # type: ignore[arg-type]
    stop, force_stop = asyncio.Event(), asyncio.Event()
    run: asyncio.Task[bool] | None = None
    try:
        await sidecar.start()
        run = asyncio.create_task(sidecar.run(stop, force_stop))
        async with grpc.aio.insecure_channel(f"localhost:{sidecar.port}") as channel:
            stub = classifier_pb2_grpc.ClassifierStub(channel)
            pod = Pod(serving, address, sidecar, channel, stub, stop, force_stop, run)
            if ready:
                await serving.start(address)
                await pod.wait_health(serving=True)
                await serving.wait_for_lengths(*PaddedLengths.up_to(MAX_TOKENS).values)
            yield pod
    finally:
        if run is not None:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        await sidecar.close()
        await serving.stop()
