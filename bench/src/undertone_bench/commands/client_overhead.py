"""CPU time of the client per paragraph, compared to gRPC calls without the client."""

import asyncio
import contextlib
import cProfile
import functools
import multiprocessing
import pstats
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import click
import grpc
from undertone_client import Client, LimitSettings, Paragraph, Settings
from undertone_client.sync import Client as SynchronousClient
from undertone_client.testing import EMOTIONS
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

from undertone_bench.options import count_option, progress, reporting, rounds_option
from undertone_bench.readiness import received
from undertone_bench.report import Figure, MedianRange, Report, Table
from undertone_bench.variants import raise_on_failure

ADAPTIVE: Final = "client, adaptive limit"
FIXED: Final = "client, fixed limit"
SYNCHRONOUS: Final = "synchronous client"
GRPC: Final = "gRPC without client"

_TEXT: Final = "The letter came too late, and nobody at the table would say out loud what it said. " * 6


@dataclass(frozen=True, slots=True)
class _Run:
    """One round of a variant."""

    variant: str
    cpu_microseconds: float


@click.command(
    "client-overhead",
    epilog="""\b
Examples:
  undertone-bench client-overhead
  undertone-bench client-overhead --items 1 --paragraphs 4000""",
)
@count_option("--paragraphs", default=32_000, help_text="Paragraphs per round, a multiple of --items.")
@count_option("--items", default=32, help_text="Paragraphs per call.")
@count_option("--in-flight", default=8, help_text="Calls in flight with the fixed limit.")
@click.option("--profile", is_flag=True, help="Also profile one round of the client and print its top functions.")
@rounds_option(5)
@reporting
def client_overhead(paragraphs: int, items: int, in_flight: int, profile: bool, rounds: int) -> Report:
    """Measure the CPU time of the client per paragraph.

    The service is a separate process that answers with a prepared reply, so that this process
    does almost only the client's work. The time is user and system time of this process, gRPC's
    threads included. For comparison, the same paragraphs are scored with the synchronous client and
    its adaptive limit, and the same calls are made without the client.
    """
    if paragraphs % items:
        multiple = max(items, paragraphs // items * items)
        raise click.UsageError(f"--paragraphs {paragraphs} is not a multiple of --items {items}: use {multiple}")
    texts = [Paragraph(_TEXT[: 200 + index * 37 % 300], f"novel/{index:06}") for index in range(paragraphs)]
    limits = {ADAPTIVE: LimitSettings(), FIXED: LimitSettings.fixed(in_flight)}
    runs = []
    with _service() as target:
        for number in range(1, rounds + 1):
            seconds = {
                name: asyncio.run(_score(target, texts, Settings(batch_items=items, limit=limit)))
                for name, limit in limits.items()
            }
            seconds[SYNCHRONOUS] = _score_synchronously(target, texts, Settings(batch_items=items))
            seconds[GRPC] = asyncio.run(_call(target, texts, items, in_flight))
            runs += [_Run(name, value / paragraphs * 1e6) for name, value in seconds.items()]
            progress(f"round {number} of {rounds}")
        if profile:
            with cProfile.Profile() as profiler:
                asyncio.run(_score(target, texts, Settings(batch_items=items)))
            pstats.Stats(profiler).sort_stats("tottime").print_stats(35)
    return _report(runs)


@contextlib.contextmanager
def _service() -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    connection, remote = context.Pipe()
    process = context.Process(target=_serve, args=(remote,), daemon=True)
    process.start()
    remote.close()
    try:
        yield f"127.0.0.1:{received('the service with prepared replies', connection)}"
    finally:
        process.terminate()
        process.join()


class _PreparedReplies(grpc.GenericRpcHandler):
    """Answers with bytes that are prepared for each number of paragraphs."""

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        """GetModel returns no limits, every other method a batch."""
        is_model = details.method.endswith("GetModel")
        model = pb.GetModelResponse().SerializeToString()

        async def respond(request: bytes, _context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
            return model if is_model else _batch_reply(len(pb.ClassifyBatchRequest.FromString(request).paragraphs))

        return grpc.unary_unary_rpc_method_handler(respond)


def _serve(parent: Connection) -> None:
    """Send the port and serve until the process is terminated."""

    async def main() -> None:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers([_PreparedReplies()])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        parent.send(port)
        await server.wait_for_termination()

    asyncio.run(main())


@functools.cache
def _batch_reply(items: int) -> bytes:
    probabilities = [1 / len(EMOTIONS)] * len(EMOTIONS)
    classification = pb.Classification(label_index=3, label=EMOTIONS[3], probabilities=probabilities, tokens=112, chunks=1)
    results = [pb.ClassifyBatchResult(id=f"novel/{index:06}", classification=classification) for index in range(items)]
    model = pb.ModelInfo(name="emotions", version=1, precision="bf16")
    timings = pb.Timings(queue_seconds=0.01, tokenize_seconds=0.002, predict_seconds=0.2, total_seconds=0.22)
    return pb.ClassifyBatchResponse(results=results, labels=EMOTIONS, timings=timings, model=model).SerializeToString()


async def _score(target: str, paragraphs: Sequence[Paragraph], settings: Settings) -> float:
    """CPU seconds for scoring all paragraphs with the client."""
    async with Client(target, settings=settings) as client:
        await client.model()
        started = time.process_time()
        async for outcome in client.score(paragraphs, ordered=False):
            raise_on_failure(outcome)
        return time.process_time() - started


def _score_synchronously(target: str, paragraphs: Sequence[Paragraph], settings: Settings) -> float:
    """CPU seconds for scoring all paragraphs with the synchronous client, both threads included."""
    with SynchronousClient(target, settings=settings) as client:
        client.model()
        started = time.process_time()
        for outcome in client.score(paragraphs, ordered=False):
            raise_on_failure(outcome)
        return time.process_time() - started


async def _call(target: str, paragraphs: Sequence[Paragraph], items: int, in_flight: int) -> float:
    """CPU seconds for the same calls without the client: serialize, send, parse."""
    request = pb.ClassifyBatchRequest(paragraphs=[pb.Paragraph(text=each.text, id=each.id) for each in paragraphs[:items]])
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


def _report(runs: Sequence[_Run]) -> Report:
    samples = {
        name: [run.cpu_microseconds for run in runs if run.variant == name] for name in (ADAPTIVE, FIXED, SYNCHRONOUS, GRPC)
    }
    results = {name: MedianRange.of(values) for name, values in samples.items()}
    return Report.new(
        "client-overhead",
        "prepared-replies",
        table=Table(("variant", "CPU µs per paragraph"), tuple((name, f"{value:.1f}") for name, value in results.items())),
        figures=(
            Figure("client / gRPC", MedianRange.of_ratios(samples[ADAPTIVE], samples[GRPC]), ".1f"),
            Figure("synchronous / asyncio", MedianRange.of_ratios(samples[SYNCHRONOUS], samples[ADAPTIVE]), ".2f"),
        ),
        samples=map(asdict, runs),
    )
