"""CPU time of the client for each paragraph, in microseconds.

The service is a separate process that answers every batch with a prepared reply, so that this
process does little but the client's work. The time is user and system time of this process, gRPC's
threads included, during `Client.score`. For comparison, the same calls are made without the client.

    .venv/bin/python bench/client_overhead.py
    .venv/bin/python bench/client_overhead.py --profile   # also print a profile
"""

import argparse
import asyncio
import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import grpc
from undertone_client import Client, LimitSettings, Paragraph, Score, Settings
from undertone_client.testing import EMOTIONS
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

TEXT = "The letter came too late, and nobody at the table would say out loud what all of them had read in it. " * 5


def reply(items: int) -> bytes:
    """A serialized reply for a number of paragraphs."""
    shares = [1 / len(EMOTIONS)] * len(EMOTIONS)
    classification = pb.Classification(label_index=3, probabilities=shares, tokens=112, chunks=1)
    results = [pb.ClassifyBatchResult(id=f"novel/{index:06}", classification=classification) for index in range(items)]
    model = pb.ModelInfo(name="emotions", version=1, precision="bf16")
    timings = pb.Timings(queue_seconds=0.01, tokenize_seconds=0.002, predict_seconds=0.2, total_seconds=0.22)
    return pb.ClassifyBatchResponse(results=results, labels=EMOTIONS, timings=timings, model=model).SerializeToString()


class PreparedReplies(grpc.GenericRpcHandler):
    """Answers with prepared bytes and does not parse requests."""

    def __init__(self, items: int) -> None:
        self._batch = reply(items)
        self._model = pb.GetModelResponse().SerializeToString()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """GetModel returns no limits, every other method a batch."""
        response = self._model if details.method.endswith("GetModel") else self._batch

        async def respond(_request: bytes, _context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
            return response

        return grpc.unary_unary_rpc_method_handler(respond)


async def serve(items: int) -> None:
    """Print the port and serve until the process is killed."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([PreparedReplies(items)])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


async def score_with_client(target: str, paragraphs: Sequence[Paragraph], settings: Settings) -> float:
    """CPU seconds for scoring all paragraphs with the client."""
    async with Client(target, settings=settings) as client:
        await client.model()
        started = time.process_time()
        async for outcome in client.score(paragraphs, ordered=False):
            if not isinstance(outcome, Score):
                raise SystemExit(f"a paragraph failed: {outcome}")
        return time.process_time() - started


async def send_without_client(target: str, paragraphs: Sequence[Paragraph], items: int, in_flight: int) -> float:
    """CPU seconds for the same calls without the client: serialize, send, parse."""
    request = pb.ClassifyBatchRequest(paragraphs=[pb.Paragraph(text=item.text, id=item.id) for item in paragraphs[:items]])
    async with grpc.aio.insecure_channel(target) as channel:
        stub = pb_grpc.ClassifierStub(channel)
        await stub.GetModel(pb.GetModelRequest())
        started = time.process_time()
        calls = iter(range(len(paragraphs) // items))

        async def worker() -> None:
            for _ in calls:
                await stub.ClassifyBatch(request)

        await asyncio.gather(*(worker() for _ in range(in_flight)))
        return time.process_time() - started


async def measure(target: str, arguments: argparse.Namespace) -> None:
    """Measure all rounds and print their medians."""
    paragraphs = [Paragraph(TEXT[: 200 + index * 37 % 300], f"novel/{index:06}") for index in range(arguments.paragraphs)]
    for name, limit in (
        ("adaptive limit", LimitSettings()),
        (f"{arguments.in_flight} in flight", LimitSettings.fixed(arguments.in_flight)),
    ):
        settings = Settings(batch_items=arguments.items, limit=limit)
        report(
            f"client, {name}",
            [await score_with_client(target, paragraphs, settings) for _ in range(arguments.rounds)],
            len(paragraphs),
        )
    bare = [
        await send_without_client(target, paragraphs, arguments.items, arguments.in_flight) for _ in range(arguments.rounds)
    ]
    report("gRPC without client", bare, len(paragraphs))
    if arguments.profile:
        with cProfile.Profile() as profile:
            await score_with_client(target, paragraphs, settings)
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)


def report(name: str, seconds: Sequence[float], paragraphs: int) -> None:
    """Print the median and the range."""
    micros = [value / paragraphs * 1e6 for value in seconds]
    print(
        f"{name:24} {statistics.median(micros):6.1f} µs CPU per paragraph ({min(micros):.1f} to {max(micros):.1f})", flush=True
    )


async def run(arguments: argparse.Namespace) -> None:
    """Start the service, measure, and stop it."""
    command = [sys.executable, __file__, "--serve", "--items", str(arguments.items)]
    service = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert service.stdout is not None
        port = (await service.stdout.readline()).decode().strip()
        await measure(f"127.0.0.1:{port}", arguments)
    finally:
        service.kill()
        await service.wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--paragraphs", type=int, default=32_000, help="paragraphs per round, a multiple of --items (default: 32000)"
    )
    parser.add_argument("--items", type=int, default=32, help="paragraphs per call (default: 32)")
    parser.add_argument("--in-flight", type=int, default=8, help="calls in flight with a fixed limit (default: 8)")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default: 5)")
    parser.add_argument("--profile", action="store_true", help="also print a profile")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.items) if arguments.serve else run(arguments))


if __name__ == "__main__":
    main()
