"""The client: one connection, and the three ways to ask over it."""

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from types import TracebackType
from typing import Self, TypeVar

import grpc
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

from undertone_client.batch import BatchCall, Trailers
from undertone_client.channel import open_channel
from undertone_client.errors import DeadlineExceededError, ServiceError, from_rpc
from undertone_client.resilience.events import Listener, Recovered, Retried, Scored, Skipped
from undertone_client.resilience.mode import Mode
from undertone_client.resilience.progress import Progress, under_way
from undertone_client.resilience.stack import ClientState, Resilience
from undertone_client.settings import DEFAULT_TARGET, Settings, checked_target
from undertone_client.stream import Source, Stream
from undertone_client.values import Failure, Outcome, Paragraph, Policy, Score, ServedModel
from undertone_client.wire import batch_request, refused, served_model, single_request, single_score

_LANES = {Mode.ONLINE: (), Mode.BATCH: (("undertone-lane", "batch"),)}
"""Metadata by which the service tells work that somebody waits for from work that takes what is left."""

Around = Callable[[str, int], AbstractContextManager[None]]
"""Given the name of one of the service's methods and a number of paragraphs."""

_NOTHING = nullcontext()

Request = TypeVar("Request")
Reply = TypeVar("Reply")


class Client:
    """A client of one Undertone service, used as `async with Client(target) as client`.

    Safe for any number of concurrent callers of one event loop. All of them share a limit of calls in flight, a circuit breaker
    and a retry budget, which keep what they have learned when the client is closed and opened again; `settings` says how they
    behave. Failures that may pass are tried again, no sooner than the service asks for.

    Args:
        target: gRPC target, such as `localhost:50051` or `dns:///undertone.example:443`.
        settings: see `Settings`.
        listener: hears of every event of `undertone_client.resilience.events`.
        interceptors: see each attempt of a call, below all layers of this client, the first of them outermost.
        around: entered around each call as a whole: its attempts, its waits, and what is sent again of it.
        clock: seconds that never go back.
        random: numbers from 0 up to 1, for the jitter of the retries.
        sleep: waits for so many seconds: between retries, for the circuit breaker, before hedging.

    Raises:
        SettingsError: the target is no address, or (on entering) a certificate file cannot be read.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        settings: Settings | None = None,
        listener: Listener | None = None,
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
        around: Around = lambda _, __: _NOTHING,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._target = checked_target(target)
        self._settings = settings or Settings()
        self._interceptors = tuple(interceptors)
        self._around = around
        self._clock = clock
        self._resilience = Resilience(
            self._settings, refused=refused, listener=listener, clock=clock, random=random, sleep=sleep
        )
        self._channel: grpc.aio.Channel | None = None
        self._open_stub: pb_grpc.ClassifierAsyncStub | None = None  # a name of the type stubs only

    async def __aenter__(self) -> Self:
        self._channel = open_channel(self._target, self._settings, (*self._resilience.interceptors, *self._interceptors))
        self._open_stub = pb_grpc.ClassifierStub(self._channel)
        self._resilience.opened()
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
        progress = self._progress(Mode.ONLINE)
        try:
            with self._around("Classify", 1):
                reply, _ = await self._call(self._stub.Classify, single_request(paragraph, policy), progress)
            score = single_score(reply, paragraph)
        except ServiceError as error:
            self._resilience.emit(Skipped(error.status, 1))
            raise
        self._resilience.emit(Scored(1))
        return score

    async def classify_batch(
        self, paragraphs: Sequence[str | Paragraph], *, policy: Policy = Policy.CHUNK_MEAN
    ) -> list[Outcome]:
        """Score several paragraphs in one call: a score or a failure for each, in order.

        Only those that the service had no room for are sent again. A call that fails as a whole with INVALID_ARGUMENT or
        INTERNAL is halved until the paragraph that does it stands alone; other failures are those of each of its paragraphs.
        `ServiceError` is not raised. The caller keeps within the service's limits; `score` does so by itself.
        """
        if not paragraphs:
            return []
        return await self._batch([_paragraph(paragraph) for paragraph in paragraphs], policy)

    async def score(
        self, paragraphs: Source, *, ordered: bool = True, policy: Policy = Policy.CHUNK_MEAN
    ) -> AsyncGenerator[Outcome, None]:
        """Score any number of paragraphs: exactly one score or failure for each, as they become ready.

        Paragraphs of like length are sent together, in calls within the client's bounds and the service's limits, as many at
        once as `settings.limit` finds. Memory is bounded by `settings.lookahead_items` and `lookahead_characters` however long
        the source and however slow the consumer. A plain iterable is read on the event loop; pass an asynchronous one if
        reading it can block. Wrap the generator in `contextlib.aclosing` where it may be left before its end.

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
        limits = (await self._model(Mode.BATCH)).limits
        resilience = self._resilience
        stream = Stream(
            lambda batch: self._batch(batch, policy),
            lambda: resilience.demand,
            self._settings,
            limits,
            ordered=ordered,
            refused=self._skip,
        )
        async with aclosing(stream.run(paragraphs)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def model(self) -> ServedModel:
        """The model that the service has loaded, and the service's limits.

        Raises:
            ServiceError: the call failed.
        """
        return await self._model(Mode.ONLINE)

    def state(self) -> ClientState:
        """What is in flight now, the limit, the circuit breaker, and the counts since the client was made."""
        return self._resilience.state()

    async def _model(self, natural: Mode) -> ServedModel:
        with self._around("GetModel", 0):
            reply, _ = await self._call(self._stub.GetModel, pb.GetModelRequest(), self._progress(natural))
        return served_model(reply)

    async def _batch(self, paragraphs: Sequence[Paragraph], policy: Policy) -> list[Outcome]:
        async def send(batch: Sequence[Paragraph], progress: Progress) -> tuple[pb.ClassifyBatchResponse, Trailers]:
            return await self._call(self._stub.ClassifyBatch, batch_request(batch, policy), progress)

        call = BatchCall(
            paragraphs, send, self._pause_after, advanced=self._resilience.retry.advanced, halved=self._note_halved
        )
        with self._around("ClassifyBatch", len(paragraphs)):
            outcomes = await call.run(self._progress(Mode.BATCH))
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        for failure in failures:
            self._skip(failure)
        if scored := len(outcomes) - len(failures):
            self._resilience.emit(Scored(scored))
        return outcomes

    async def _pause_after(self, refusal: Failure, pushback_seconds: float | None, progress: Progress) -> bool:
        retry = self._resilience.retry
        wait = retry.wait(refusal.status, pushback_seconds, progress)
        if wait is None:
            return False
        self._resilience.emit(Retried("ClassifyBatch", refusal.status, progress.attempts + 1, wait))
        await retry.pause(wait)
        return True

    def _skip(self, failure: Failure) -> None:
        self._resilience.emit(Skipped(failure.status, 1))

    def _note_halved(self, progress: Progress) -> None:
        if progress.failures:  # none if the reply was malformed
            self._resilience.emit(Recovered("ClassifyBatch", progress.failures))

    def _progress(self, natural: Mode) -> Progress:
        limit = self._settings.deadline_seconds
        return Progress(self._settings.mode or natural, math.inf if limit is None else self._clock() + limit)

    async def _call(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Reply], request: Request, progress: Progress
    ) -> tuple[Reply, Trailers]:
        left = None if progress.deadline == math.inf else progress.deadline - self._clock()
        try:
            async with asyncio.timeout(left):
                with under_way(progress):
                    call = method(request, timeout=self._settings.timeout_seconds, metadata=_LANES[progress.mode])
                reply = await call
                return reply, tuple(await call.trailing_metadata() or ())
        except TimeoutError:
            reason = f"no answer within deadline_seconds {self._settings.deadline_seconds}"
            raise DeadlineExceededError(grpc.StatusCode.DEADLINE_EXCEEDED, reason, attempts=progress.attempts) from None
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, attempts=progress.attempts) from None

    @property
    def _stub(self) -> "pb_grpc.ClassifierAsyncStub":
        if self._open_stub is None:
            raise RuntimeError("the client is not open: use it inside `async with Client(...) as client`")
        return self._open_stub


def _paragraph(value: str | Paragraph) -> Paragraph:
    return Paragraph(value) if isinstance(value, str) else value
