"""What the client itself costs: CPU microseconds for each paragraph that it scores.

The service is a process of its own that answers every batch with a reply made beforehand, so that nearly all that this process
does is the client's. Measured are user and system time of this process, the threads of gRPC included, over whole calls of
`Client.score`; then, in the same way, bare gRPC calls of the same size without the client, for comparison.

    .venv/bin/python bench/client_overhead.py
    .venv/bin/python bench/client_overhead.py --profile   # where the time goes
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
METHOD = "/undertone.v1.Classifier/ClassifyBatch"


def reply(items: int) -> bytes:
    """A serialized answer for so many paragraphs."""
    shares = [1 / len(EMOTIONS)] * len(EMOTIONS)
    classification = pb.Classification(label_index=3, probabilities=shares, tokens=112, chunks=1)
    results = [pb.ClassifyBatchResult(id=f"novel/{index:06}", classification=classification) for index in range(items)]
    model = pb.ModelInfo(name="emotions", version=1, precision="bf16")
    timings = pb.Timings(queue_seconds=0.01, tokenize_seconds=0.002, predict_seconds=0.2, total_seconds=0.22)
    return pb.ClassifyBatchResponse(results=results, labels=EMOTIONS, timings=timings, model=model).SerializeToString()


class Canned(grpc.GenericRpcHandler):
    """Answers without reading: the bytes were made beforehand."""

    def __init__(self, items: int) -> None:
        self._batch = reply(items)
        self._model = pb.GetModelResponse().SerializeToString()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """Every method: the model has no limits, the rest is a batch."""
        answer = self._model if details.method.endswith("GetModel") else self._batch

        async def respond(_request: bytes, _context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
            return answer

        return grpc.unary_unary_rpc_method_handler(respond)


async def serve(items: int) -> None:
    """The service; prints its port and runs until it is killed."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([Canned(items)])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


async def scored(target: str, paragraphs: Sequence[Paragraph], settings: Settings) -> float:
    """CPU seconds of scoring all paragraphs with the client."""
    async with Client(target, settings=settings) as client:
        await client.model()
        began = time.process_time()
        async for outcome in client.score(paragraphs, ordered=False):
            if not isinstance(outcome, Score):
                raise SystemExit(f"a paragraph failed: {outcome}")
        return time.process_time() - began


async def sent(target: str, paragraphs: Sequence[Paragraph], items: int, in_flight: int) -> float:
    """CPU seconds of making the same calls without the client: serialize, send, parse."""
    request = pb.ClassifyBatchRequest(paragraphs=[pb.Paragraph(text=item.text, id=item.id) for item in paragraphs[:items]])
    async with grpc.aio.insecure_channel(target) as channel:
        stub = pb_grpc.ClassifierStub(channel)
        await stub.GetModel(pb.GetModelRequest())
        began = time.process_time()
        calls = iter(range(len(paragraphs) // items))

        async def some() -> None:
            for _ in calls:
                await stub.ClassifyBatch(request)

        await asyncio.gather(*(some() for _ in range(in_flight)))
        return time.process_time() - began


async def measure(target: str, given: argparse.Namespace) -> None:
    """Prints microseconds for each paragraph, medians over the rounds."""
    paragraphs = [Paragraph(TEXT[: 200 + index * 37 % 300], f"novel/{index:06}") for index in range(given.paragraphs)]
    for name, limit in (
        ("adaptive limit", LimitSettings()),
        (f"{given.in_flight} in flight", LimitSettings.fixed(given.in_flight)),
    ):
        settings = Settings(batch_items=given.items, limit=limit)
        report(f"client, {name}", [await scored(target, paragraphs, settings) for _ in range(given.rounds)], len(paragraphs))
    bare = [await sent(target, paragraphs, given.items, given.in_flight) for _ in range(given.rounds)]
    report("gRPC alone", bare, len(paragraphs))
    if given.profile:
        with cProfile.Profile() as profile:
            await scored(target, paragraphs, settings)
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)


def report(name: str, seconds: Sequence[float], paragraphs: int) -> None:
    """One line: the median, and the spread."""
    each = [value / paragraphs * 1e6 for value in seconds]
    print(f"{name:24} {statistics.median(each):6.1f} µs CPU a paragraph ({min(each):.1f} to {max(each):.1f})", flush=True)


async def run(given: argparse.Namespace) -> None:
    """Starts the service, measures, stops it."""
    command = [sys.executable, __file__, "--serve", "--items", str(given.items)]
    service = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert service.stdout is not None
        port = (await service.stdout.readline()).decode().strip()
        await measure(f"127.0.0.1:{port}", given)
    finally:
        service.kill()
        await service.wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paragraphs", type=int, default=32_000, help="a multiple of --items (default: 32000)")
    parser.add_argument("--items", type=int, default=32, help="paragraphs in a call (default: 32)")
    parser.add_argument("--in-flight", type=int, default=8, help="calls at once, with a fixed limit (default: 8)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that are measured (default: 5)")
    parser.add_argument("--profile", action="store_true", help="print where the time goes, too")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    asyncio.run(serve(given.items) if given.serve else run(given))


if __name__ == "__main__":
    main()
