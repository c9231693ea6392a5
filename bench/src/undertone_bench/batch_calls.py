"""Calls of Classify and ClassifyBatch without the client library, to measure the sidecar alone."""

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from typing import Final

import grpc.aio
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from undertone_bench.errors import BenchError
from undertone_bench.options import Command, count_option

CALL_SECONDS: Final = 120.0
"""Timeout of a call."""


def batch_call_options(command: Command) -> Command:
    """Add --batch and --in-flight, whose values are arguments of `send_batches`."""
    command = count_option("--in-flight", default=8, help_text="Concurrent ClassifyBatch calls.")(command)
    return count_option("--batch", default=32, help_text="Paragraphs per ClassifyBatch call.")(command)


async def send_batches(
    targets: Sequence[str],
    paragraphs: Sequence[classifier_pb2.Paragraph],
    *,
    batch: int,
    in_flight: int,
    call_seconds: float = CALL_SECONDS,
) -> int:
    """Sends paragraphs to sidecars, which get the calls in turn.

    Args:
        targets: Addresses of the sidecars.
        paragraphs: In the order of the calls.
        batch: Paragraphs of a call.
        in_flight: Concurrent calls.
        call_seconds: Timeout of a call.

    Returns:
        The tokens of all paragraphs.

    Raises:
        BenchError: A call or a paragraph fails.
    """
    starts, tokens = iter(range(0, len(paragraphs), batch)), 0
    async with contextlib.AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(grpc.aio.insecure_channel(target)) for target in targets]
        stubs = itertools.cycle([classifier_pb2_grpc.ClassifierStub(channel) for channel in channels])

        async def caller() -> None:
            nonlocal tokens
            for start in starts:
                request = classifier_pb2.ClassifyBatchRequest(paragraphs=paragraphs[start : start + batch])
                try:
                    reply = await next(stubs).ClassifyBatch(request, timeout=call_seconds)
                except grpc.aio.AioRpcError as error:
                    raise _failed(error) from None
                if errors := [result.error.message for result in reply.results if result.HasField("error")]:
                    raise BenchError(f"a paragraph failed: {errors[0]}")
                tokens += sum(result.classification.tokens for result in reply.results)

        await asyncio.gather(*(caller() for _ in range(in_flight)))
    return tokens


async def send_singly(target: str, texts: Sequence[str], *, in_flight: int, call_seconds: float = CALL_SECONDS) -> None:
    """Sends paragraphs to a sidecar, each in its own Classify call.

    Args:
        target: Address of the sidecar.
        texts: The paragraphs, in the order of the calls.
        in_flight: Concurrent calls.
        call_seconds: Timeout of a call.

    Raises:
        BenchError: A call fails.
    """
    remaining = iter(texts)
    async with grpc.aio.insecure_channel(target) as channel:
        stub = classifier_pb2_grpc.ClassifierStub(channel)

        async def caller() -> None:
            for text in remaining:
                try:
                    await stub.Classify(classifier_pb2.ClassifyRequest(text=text), timeout=call_seconds)
                except grpc.aio.AioRpcError as error:
                    raise _failed(error) from None

        await asyncio.gather(*(caller() for _ in range(in_flight)))


def _failed(error: grpc.aio.AioRpcError) -> BenchError:
    return BenchError(f"a call failed: {error.code().name}: {error.details()}")
