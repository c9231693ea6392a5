"""A fake fleet behind a real socket: `python -m undertone_bench.simulation.server` prints its port, and is ended by any signal.

Its faults are those of the fleet, drawn by chance; for those of a process, kill it, stop it and start it again.
"""

import argparse
import asyncio
from typing import Any, NoReturn

import grpc
from undertone_client.errors import PUSHBACK_KEY
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

from undertone_bench.simulation.faults import FaultRates
from undertone_bench.simulation.fleet import Fleet, FleetSettings
from undertone_bench.simulation.pod import BrokenCallError, PodSettings, Speed


class FleetServicer(pb_grpc.ClassifierServicer):
    """Lets calls from a socket into a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802 - named by the API
        return await self._answer("Classify", request, context)

    async def ClassifyBatch(self, request: Any, context: Any) -> Any:  # noqa: N802 - named by the API
        return await self._answer("ClassifyBatch", request, context)

    async def GetModel(self, request: Any, context: Any) -> Any:  # noqa: N802 - named by the API
        return await self._answer("GetModel", request, context)

    async def _answer(self, method: str, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            reply, trailers = await self._fleet.answer(method, request, _pairs(context))
        except BrokenCallError as error:
            pushback = () if error.pushback_ms is None else ((PUSHBACK_KEY, str(error.pushback_ms)),)
            await context.abort(error.status, error.reason, pushback)
            raise AssertionError("abort always raises") from None
        context.set_trailing_metadata(tuple(trailers))
        return reply


def _pairs(context: grpc.aio.ServicerContext[Any, Any]) -> list[tuple[str, str]]:
    return [(key, str(value)) for key, value in context.invocation_metadata() or ()]


async def serve(settings: FleetSettings, rates: FaultRates, *, port: int, seed: int) -> NoReturn:
    """Serve a fleet on a loopback port until the process is ended; prints the port, which is a free one for 0."""
    async with Fleet(settings, seed=seed) as fleet:
        fleet.fault_rates = rates
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        pb_grpc.add_ClassifierServicer_to_server(FleetServicer(fleet), server)
        print(server.add_insecure_port(f"127.0.0.1:{port}"), flush=True)
        await server.start()
        await server.wait_for_termination()
        raise AssertionError("nobody stops it")


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pods", type=int, default=4)
    parser.add_argument("--call-seconds", type=float, default=0.002, help="what a call costs a pod")
    parser.add_argument("--token-seconds", type=float, default=0.0, help="what a token of it costs on top")
    parser.add_argument("--queue", type=int, default=64, help="calls that may wait at a pod")
    parser.add_argument("--choices", type=int, default=2, help="pods that the balancer chooses from")
    for fault in FaultRates.__slots__:
        parser.add_argument(f"--{fault.replace('_', '-')}", type=float, default=0.0, help="share of the calls")
    given = parser.parse_args()
    speed = Speed(given.call_seconds, given.token_seconds)
    settings = FleetSettings(
        pods=given.pods, pod=PodSettings(speed, queue=given.queue), network_seconds=0.0, choices=given.choices
    )
    rates = FaultRates(**{fault: getattr(given, fault) for fault in FaultRates.__slots__})
    asyncio.run(serve(settings, rates, port=given.port, seed=given.seed))


if __name__ == "__main__":
    main()
