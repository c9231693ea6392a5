"""A simulated fleet behind a real socket, in this process or in one of its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import grpc
from undertone_client.errors import PUSHBACK_KEY
from undertone_planner.fleet.faults import FaultRates
from undertone_planner.fleet.fleet import Fleet, FleetSettings
from undertone_planner.fleet.pod import CallError
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

from undertone_bench.errors import BenchError
from undertone_bench.processes import free_ports
from undertone_bench.readiness import first_line


class FleetServicer(pb_grpc.ClassifierServicer):
    """Passes calls from a socket to a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802 - the proto's name
        return await self._answer("Classify", request, context)

    async def ClassifyBatch(self, request: Any, context: Any) -> Any:  # noqa: N802 - the proto's name
        return await self._answer("ClassifyBatch", request, context)

    async def GetModel(self, request: Any, context: Any) -> Any:  # noqa: N802 - the proto's name
        return await self._answer("GetModel", request, context)

    async def _answer(self, method: str, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        metadata = [(key, str(value)) for key, value in context.invocation_metadata() or ()]
        try:
            reply, trailers = await self._fleet.answer(method, request, metadata)
        except CallError as error:
            pushback = () if error.pushback_ms is None else ((PUSHBACK_KEY, str(error.pushback_ms)),)
            await context.abort(error.status, error.reason, pushback)
            raise AssertionError("abort always raises") from None
        context.set_trailing_metadata(tuple(trailers))
        return reply


async def serve(settings: FleetSettings, rates: FaultRates, *, port: int, seed: int) -> NoReturn:
    """Serve a fleet on a loopback port, print the port, and run until the process ends.

    Port 0 takes a free one.
    """
    async with Fleet(settings, seed=seed) as fleet:
        fleet.fault_rates = rates
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        pb_grpc.add_ClassifierServicer_to_server(FleetServicer(fleet), server)
        try:
            bound = server.add_insecure_port(f"127.0.0.1:{port}")
        except RuntimeError:
            raise BenchError(f"--port {port} is in use or not allowed: use another port, or 0 for a free one") from None
        print(bound, flush=True)
        await server.start()
        try:
            await server.wait_for_termination()
        finally:
            await server.stop(grace=0)
        raise AssertionError("the server does not stop")


class FleetProcess:
    """`undertone-bench simulation serve FLAG...` as a process that keeps its port."""

    def __init__(self, flags: Sequence[str]) -> None:
        (self.port,) = free_ports(1)
        self._command = [sys.executable, "-m", "undertone_bench", "simulation", "serve", f"--port={self.port}", *flags]
        self.start()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens. Raises BenchError."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        try:
            first_line("the simulated fleet", self._process)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def running_fleet(flags: Sequence[str]) -> Iterator[str]:
    """The address of a fleet in a process of its own."""
    process = FleetProcess(flags)
    try:
        yield process.target
    finally:
        process.kill()
