"""A pod in one process: a sidecar, the model server it asks, and a caller's channel to it, all over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from undertone_protos.v1 import classifier_pb2_grpc

from undertone_sidecar.settings import Settings
from undertone_sidecar.shapes import Lengths
from undertone_sidecar.sidecar import Sidecar
from undertone_sidecar.testing.model import MAX_TOKENS
from undertone_sidecar.testing.tf_serving import FakeTFServing


@dataclass(frozen=True, slots=True, eq=False)
class Pod:
    """`stop` drains the sidecar, and `run` then tells whether it finished every call; `hurry` cuts the drain short."""

    serving: FakeTFServing
    serving_address: str
    sidecar: Sidecar
    channel: grpc.aio.Channel
    stub: "classifier_pb2_grpc.ClassifierAsyncStub"
    stop: asyncio.Event
    hurry: asyncio.Event
    run: asyncio.Task[bool]

    async def until(self, *, serving: bool, service: str = "") -> None:
        """Waits for a health status, as a balancer that watches would."""
        wanted = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        watch = health_pb2_grpc.HealthStub(self.channel).Watch(health_pb2.HealthCheckRequest(service=service))
        async for response in watch:
            if response.status == wanted:
                watch.cancel()
                return

    async def metrics(self) -> str:
        """The page that Prometheus reads."""

        def get() -> str:
            with urlopen(f"http://localhost:{self.sidecar.metrics_port}/metrics") as response:
                return str(response.read().decode())

        return await asyncio.to_thread(get)

    async def until_metric(self, name: str, value: float) -> None:
        """Waits until a metric whose name and labels contain `name` has the value."""
        while not any(name in line and line.endswith(f" {value:.1f}") for line in (await self.metrics()).splitlines()):
            pass


@asynccontextmanager
async def pod(base: Path, *, ready: bool = True, **settings: object) -> AsyncIterator[Pod]:
    """A pod for the versions in the folder `base`, of which the model server has version 1.

    Unless `ready` is false the model server is started, and waited for until ready and warmed up. `settings` are fields of
    Settings; ports are free ones, sizes fit the model of `write_version`, and calls go to the model server one by one.
    """
    address = f"unix:{base.parent / 'model.sock'}"
    small = {"port": 0, "metrics_port": 0, "chunk_overlap": 8, "model_calls": 1, "batch_tokens": 128, "poll_seconds": 0.02}
    serving = FakeTFServing(base.name, 1)
    sidecar = Sidecar(Settings(model_dir=base, model_server=address, **(small | settings)))  # type: ignore[arg-type]
    stop, hurry = asyncio.Event(), asyncio.Event()
    run: asyncio.Task[bool] | None = None
    try:
        await sidecar.start()
        run = asyncio.create_task(sidecar.run(stop, hurry))
        async with grpc.aio.insecure_channel(f"localhost:{sidecar.port}") as channel:
            stub = classifier_pb2_grpc.ClassifierStub(channel)
            built = Pod(serving, address, sidecar, channel, stub, stop, hurry, run)
            if ready:
                await serving.start(address)
                await built.until(serving=True)
                await serving.until_tried(*Lengths.up_to(MAX_TOKENS).steps)
            yield built
    finally:
        if run is not None:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        await sidecar.close()
        await serving.stop()
