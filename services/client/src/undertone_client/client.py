"""The client: one connection, and the three ways to ask over it."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar

import grpc
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

from undertone_client.batch import BatchCall, Trailers
from undertone_client.channel import open_channel
from undertone_client.errors import from_rpc
from undertone_client.retry import Retry
from undertone_client.settings import DEFAULT_TARGET, Settings, checked_target
from undertone_client.stream import Source, Stream
from undertone_client.values import Outcome, Paragraph, Policy, Score, ServedModel
from undertone_client.wire import batch_request, served_model, single_request, single_score

Request = TypeVar("Request")
Reply = TypeVar("Reply")


class Client:
    """A client of one Undertone service, used as `async with Client(target) as client`.

    Safe for any number of concurrent callers of one event loop. Calls that fail with UNAVAILABLE or RESOURCE_EXHAUSTED are
    tried again as `settings.retry` says, no sooner than the service asks for.

    Args:
        target: gRPC target, such as `localhost:50051` or `dns:///undertone.example:443`.
        settings: see `Settings`.
        random: numbers from 0 up to 1, for the jitter of the retries.
        sleep: waits for so many seconds, between retries.

    Raises:
        SettingsError: the target is no address, or (on entering) a certificate file cannot be read.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        settings: Settings | None = None,
        random: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._target = checked_target(target)
        self._settings = settings or Settings()
        self._retry = Retry(self._settings.retry, random=random, sleep=sleep)
        self._channel: grpc.aio.Channel | None = None
        self._open_stub: pb_grpc.ClassifierAsyncStub | None = None  # a name of the type stubs only

    async def __aenter__(self) -> Self:
        self._channel = open_channel(self._target, self._settings)
        self._open_stub = pb_grpc.ClassifierStub(self._channel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        channel, self._channel, self._open_stub = self._channel, None, None
        if channel is not None:
            await channel.close()

    async def classify(self, text: str | Paragraph, *, policy: Policy = Policy.CHUNK_MEAN) -> Score:
        """Score one paragraph.

        Raises:
            InvalidParagraphError: it is empty, too long, or over the model's length with `Policy.REJECT`.
            ServiceError: the call failed; see the tree in `undertone_client.errors`.
        """
        paragraph = _paragraph(text)
        request = single_request(paragraph, policy)
        reply, _ = await self._retry.run(lambda: self._call(self._stub.Classify, request))
        return single_score(reply, paragraph)

    async def classify_batch(
        self, paragraphs: Sequence[str | Paragraph], *, policy: Policy = Policy.CHUNK_MEAN
    ) -> list[Outcome]:
        """Score several paragraphs in one call: a score or a failure for each, in order.

        Only those that the service had no room for are sent again. A call that fails as a whole fails each of its paragraphs;
        `ServiceError` is not raised. The caller keeps within the service's limits; `score` does so by itself.
        """
        if not paragraphs:
            return []
        return await self._batch([_paragraph(paragraph) for paragraph in paragraphs], policy)

    async def score(
        self, paragraphs: Source, *, ordered: bool = True, policy: Policy = Policy.CHUNK_MEAN
    ) -> AsyncGenerator[Outcome, None]:
        """Score any number of paragraphs: exactly one score or failure for each, as they become ready.

        Paragraphs of like length are sent together, in calls within the client's bounds and the service's limits, some at
        once. Memory is bounded by `settings.lookahead_items` and `lookahead_characters` however long the source and however
        slow the consumer. A plain iterable is read on the event loop; pass an asynchronous one if reading it can block.
        Wrap the generator in `contextlib.aclosing` where it may be left before its end.

        Args:
            paragraphs: the source. What it raises is raised here, after the outcomes of what it gave before.
            ordered: whether outcomes come in the order of the source; otherwise as they arrive, which needs less waiting.
            policy: see `Policy`.

        Raises:
            ServiceError: the service did not answer when asked for its limits; nothing was taken from the source.
            TypeError: the source is one string, or gives something that is no paragraph.
        """
        if isinstance(paragraphs, str):
            raise TypeError("score() takes many paragraphs; for one string use classify()")
        limits = (await self.model()).limits
        stream = Stream(lambda batch: self._batch(batch, policy), self._settings, limits, ordered=ordered)
        async with aclosing(stream.run(paragraphs)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def model(self) -> ServedModel:
        """The model that the service has loaded, and the service's limits.

        Raises:
            ServiceError: the call failed.
        """
        reply, _ = await self._retry.run(lambda: self._call(self._stub.GetModel, pb.GetModelRequest()))
        return served_model(reply)

    async def _batch(self, paragraphs: Sequence[Paragraph], policy: Policy) -> list[Outcome]:
        async def send(batch: Sequence[Paragraph]) -> tuple[pb.ClassifyBatchResponse, Trailers]:
            return await self._call(self._stub.ClassifyBatch, batch_request(batch, policy))

        return await BatchCall(paragraphs, send).run(self._retry)

    async def _call(self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Reply], request: Request) -> tuple[Reply, Trailers]:
        call = method(request, timeout=self._settings.timeout_seconds)
        try:
            reply = await call
            return reply, tuple(await call.trailing_metadata() or ())
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from None

    @property
    def _stub(self) -> "pb_grpc.ClassifierAsyncStub":
        if self._open_stub is None:
            raise RuntimeError("the client is not open: use it inside `async with Client(...) as client`")
        return self._open_stub


def _paragraph(value: str | Paragraph) -> Paragraph:
    return Paragraph(value) if isinstance(value, str) else value
