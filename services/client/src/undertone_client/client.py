"""The client of an Undertone service."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from types import TracebackType
from typing import Self

import grpc

from undertone_client.batch import BatchCall
from undertone_client.errors import ServiceError, service_error
from undertone_client.grpc_transport import GrpcTransport
from undertone_client.paragraph_check import as_paragraph, as_paragraphs, check_source, rejection
from undertone_client.resilience.events import Listener, ParagraphsFailed, ParagraphsScored
from undertone_client.resilience.resilient_transport import ClientState, ResilientTransport
from undertone_client.settings import DEFAULT_TARGET, Settings, validate_target
from undertone_client.stream import Source, Stream
from undertone_client.suspects import Suspects
from undertone_client.transport import Method, Mode, Transport
from undertone_client.values import Failure, Outcome, Paragraph, Policy, Score, ServedModel
from undertone_client.wire import model_request, served_model, single_request, single_score

CallContext = Callable[[Method, int], AbstractContextManager[None]]
"""Makes a context manager for a call, from the name of its method and its number of paragraphs."""

_NO_CONTEXT = nullcontext()


def no_context(_method: Method, _paragraphs: int) -> AbstractContextManager[None]:
    """A `CallContext` that does nothing."""
    return _NO_CONTEXT


class Client:
    """A client of one Undertone service, used as `async with Client(target) as client`.

    Any number of tasks on one event loop may use it concurrently. All calls share a concurrency
    limit, a circuit breaker and a retry budget. These keep their state when the client is closed
    and opened again, so create one client per service and process.

    Args:
        target: gRPC target, such as `localhost:50051` or `dns:///undertone.example:443`.
        settings: see `Settings`.
        listener: receives the events of `undertone_client.resilience.events`.
        interceptors: gRPC interceptors, outermost first. They run once for each attempt.
        call_context: see `CallContext`. Entered once around each call, including its retries and
            waits.
        transport: replaces the gRPC connection, for tests. `target` and `interceptors` are then not
            used.
        clock: a monotonic clock, in seconds.
        random: uniform random numbers from 0 to 1, for the jitter of retries.
        sleep: sleeps for a number of seconds: between retries, while the circuit breaker is open,
            before hedging.

    Raises:
        SettingsError: the target is invalid, or (on entering) a certificate file cannot be read.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        settings: Settings | None = None,
        listener: Listener | None = None,
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
        call_context: CallContext = no_context,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings or Settings()
        self._call_context = call_context
        self._grpc = GrpcTransport(validate_target(target), self._settings, tuple(interceptors), clock)
        self._uses_grpc = transport is None
        self._suspects = Suspects(random)
        self._transport = ResilientTransport(
            transport or self._grpc, self._settings, listener=listener, clock=clock, random=random, sleep=sleep
        )

    async def __aenter__(self) -> Self:
        if self._uses_grpc:
            self._grpc.open()
        self._transport.emit_opened()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._grpc.close()

    async def classify(self, text: str | Paragraph, *, policy: Policy = Policy.CHUNK_MEAN) -> Score:
        """Score one paragraph.

        Raises:
            InvalidParagraphError: the paragraph is empty, too long, or longer than the model's
                sequence with `Policy.REJECT`; or its id is too long.
            TypeError: `text` is neither a string nor a `Paragraph`.
            ServiceError: the call failed. `undertone_client.errors` lists the subclasses.
        """
        paragraph = as_paragraph(text, "text")
        try:
            if (reason := rejection(paragraph)) is not None:
                raise service_error(grpc.StatusCode.INVALID_ARGUMENT, reason, attempts=0)
            with self._call_context("Classify", 1):
                request = single_request(paragraph, policy)
                reply = await self._transport.send(request, self._transport.start_call(Mode.ONLINE))
            score = single_score(reply.message, paragraph)
        except ServiceError as error:
            self._transport.emit(ParagraphsFailed(error.status, 1))
            raise
        self._transport.emit(ParagraphsScored(1))
        return score

    async def classify_batch(
        self, paragraphs: Iterable[str | Paragraph], *, policy: Policy = Policy.CHUNK_MEAN
    ) -> list[Outcome]:
        """Score several paragraphs in one call. Returns a score or a failure for each, in order.

        Only refused paragraphs are sent again. A request that fails with INVALID_ARGUMENT, INTERNAL
        or UNKNOWN is split in two until the paragraph that causes it is isolated, and so is a
        request that makes the service unavailable again and again (see
        `undertone_client.suspects`). Any other error becomes a failure of each paragraph:
        `ServiceError` is not raised. The caller must respect the service's limits; `score` does so
        itself. A paragraph that no service accepts, because its id is too long or it is not valid
        Unicode, is not sent and becomes a failure.

        Raises:
            TypeError: an element is neither a string nor a `Paragraph`. Nothing is sent.
        """
        checked = as_paragraphs(paragraphs)
        failures = {
            index: Failure(paragraph, grpc.StatusCode.INVALID_ARGUMENT, reason, attempts=0)
            for index, paragraph in enumerate(checked)
            if (reason := rejection(paragraph)) is not None
        }
        for failure in failures.values():
            self._emit_failure(failure)
        valid = [paragraph for index, paragraph in enumerate(checked) if index not in failures]
        outcomes = iter(await self._score_batch(valid, policy) if valid else ())
        return [failures[index] if index in failures else next(outcomes) for index in range(len(checked))]

    async def score(
        self, paragraphs: Source, *, ordered: bool = True, policy: Policy = Policy.CHUNK_MEAN
    ) -> AsyncGenerator[Outcome, None]:
        """Score any number of paragraphs. Yields exactly one score or failure for each.

        Groups paragraphs of similar length into calls, within the client's settings and the
        service's limits. Runs as many calls in parallel as the concurrency limit allows. Memory is
        bounded by `Settings.lookahead_items` and `lookahead_characters`, for any source and any
        consumer. Wrap the generator in `contextlib.aclosing` if you may leave it before its end.

        Args:
            paragraphs: the source. A plain iterable is read on the event loop: pass an asynchronous
                one if reading blocks. An exception of the source is raised here, after the outcomes
                of the paragraphs before it.
            ordered: whether outcomes come in the order of the source. False yields each outcome as
                soon as it is ready.
            policy: see `Policy`.

        Raises:
            ServiceError: the request for the service's limits failed. Nothing was read from the
                source.
            TypeError: the source is not iterable or is a single string, or an item is not a
                paragraph.
        """
        check_source(paragraphs)
        limits = (await self._get_model(Mode.BATCH)).limits
        stream = Stream(
            lambda batch: self._score_batch(batch, policy),
            lambda: self._transport.desired_calls,
            self._settings,
            limits,
            ordered=ordered,
            on_rejected=self._emit_failure,
        )
        async with aclosing(stream.run(paragraphs)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def model(self) -> ServedModel:
        """The model that the service has loaded, and the service's limits.

        Raises:
            ServiceError: the call failed.
        """
        return await self._get_model(Mode.ONLINE)

    def state(self) -> ClientState:
        """A snapshot of the attempts in flight, the limit, the circuit breaker, and the counts."""
        return self._transport.state()

    async def _get_model(self, default_mode: Mode) -> ServedModel:
        with self._call_context("GetModel", 0):
            reply = await self._transport.send(model_request(), self._transport.start_call(default_mode))
        return served_model(reply.message)

    async def _score_batch(self, paragraphs: Sequence[Paragraph], policy: Policy) -> list[Outcome]:
        batch = BatchCall(paragraphs, policy, self._transport, self._suspects)
        with self._call_context("ClassifyBatch", len(paragraphs)):
            outcomes = await batch.run(self._transport.start_call(Mode.BATCH))
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        for failure in failures:
            self._emit_failure(failure)
        if scored := len(outcomes) - len(failures):
            self._transport.emit(ParagraphsScored(scored))
        return outcomes

    def _emit_failure(self, failure: Failure) -> None:
        self._transport.emit(ParagraphsFailed(failure.status, 1))
