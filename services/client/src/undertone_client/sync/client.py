"""The synchronous client: the asyncio client on an event loop in a background thread."""

import asyncio
import enum
import random
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Generator, Hashable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc

from undertone_client.client import CallContext, no_context
from undertone_client.client import Client as AsyncioClient
from undertone_client.paragraph_check import as_paragraphs, check_source
from undertone_client.resilience.events import Listener
from undertone_client.resilience.resilient_transport import ClientState
from undertone_client.settings import DEFAULT_TARGET, Settings
from undertone_client.sync.exchange import Exchange
from undertone_client.sync.frame_scores import FrameOptions, OnError, Progress, scored_frame
from undertone_client.sync.loop_thread import LOOP_THREAD
from undertone_client.transport import Transport
from undertone_client.values import Outcome, Paragraph, Policy, Score, ServedModel

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

_CLOSED = "the client is closed: create a new one, or enter it again with `with client`"
_CLOSED_DURING_CALL = "the client was closed while this call was in flight"


class _State(enum.Enum):
    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"


class Client:
    """A synchronous client of one Undertone service, used as `with Client(target) as client`.

    Any number of threads may use it concurrently. All calls share a concurrency limit, a circuit
    breaker and a retry budget. These keep their state when the client is closed and opened again,
    so create one client per service and process.

    The first call opens the client, so that a notebook may omit `with`. Calls run on an event loop
    in a background thread, which all clients of the process share. The thread does not keep the
    interpreter from exiting. A call also works in a thread that runs an event loop, as in a
    notebook, but blocks this loop. Ctrl-C cancels the call of the main thread; the client stays
    open. After a fork, the client raises RuntimeError if the parent has used one.

    Args:
        target: gRPC target, such as `localhost:50051` or `dns:///undertone.example:443`.
        settings: see `Settings`.
        listener, interceptors, call_context, transport, clock, random, sleep: see
            `undertone_client.Client`. They run in the background thread and must not call the
            client. The context variables of the caller are visible to them.

    Raises:
        SettingsError: the target is invalid, or (on opening) a certificate file cannot be read.
        RuntimeError: from any method: the client is or was closed, or the process was forked.
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
        self._client = AsyncioClient(
            target,
            settings=self._settings,
            listener=listener,
            interceptors=interceptors,
            call_context=call_context,
            transport=transport,
            clock=clock,
            random=random,
            sleep=sleep,
        )
        # Only coroutines change the following fields, and all of them run on the same loop.
        self._state = _State.NEW
        self._calls: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        LOOP_THREAD.run(self._open)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Calls in flight in other threads raise RuntimeError."""
        if LOOP_THREAD.is_running:
            LOOP_THREAD.run(self._close)
        else:
            self._state = _State.CLOSED

    def classify(self, text: str | Paragraph, *, policy: Policy = Policy.CHUNK_MEAN) -> Score:
        """Score one paragraph.

        Raises:
            InvalidParagraphError: the paragraph is empty, too long, or longer than the model's
                sequence with `Policy.REJECT`; or its id is too long.
            TypeError: `text` is neither a string nor a `Paragraph`.
            ServiceError: the call failed. `undertone_client.errors` lists the subclasses.
        """
        return LOOP_THREAD.run(lambda: self._call(lambda: self._client.classify(text, policy=policy)))

    def classify_batch(self, paragraphs: Iterable[str | Paragraph], *, policy: Policy = Policy.CHUNK_MEAN) -> list[Outcome]:
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
        checked = as_paragraphs(paragraphs)  # reads the iterable in the caller's thread
        return LOOP_THREAD.run(lambda: self._call(lambda: self._client.classify_batch(checked, policy=policy)))

    def score(
        self, paragraphs: Iterable[str | Paragraph], *, ordered: bool = True, policy: Policy = Policy.CHUNK_MEAN
    ) -> Generator[Outcome, None, None]:
        """Score any number of paragraphs. Yields exactly one score or failure for each.

        Groups paragraphs of similar length into calls, within the client's settings and the
        service's limits. Runs as many calls in parallel as the concurrency limit allows. Memory is
        bounded by `Settings.lookahead_items` and `lookahead_characters`, for any source and any
        consumer. The end of the generator, also by `close()` or because it is not referenced any
        more, cancels the remaining calls.

        Args:
            paragraphs: the source. It is read in the caller's thread, while no outcome is ready. If
                it blocks, outcomes wait until it continues. An exception of the source is raised
                here, after the outcomes of the paragraphs before it.
            ordered: whether outcomes come in the order of the source. False yields each outcome as
                soon as it is ready.
            policy: see `Policy`.

        Raises:
            ServiceError: the request for the service's limits failed. Nothing was read from the
                source.
            TypeError: the source is not iterable or is a single string, or an item is not a
                paragraph.
        """
        if isinstance(paragraphs, AsyncIterable):
            raise TypeError(
                f"score() takes a plain iterable, not {type(paragraphs).__name__}; use undertone_client.Client for it"
            )
        check_source(paragraphs)
        exchange = Exchange(self._settings)
        outcomes = self._client.score(exchange.paragraphs(), ordered=ordered, policy=policy)
        pump = LOOP_THREAD.submit(lambda: self._call(lambda: exchange.pump(outcomes)))
        pump.add_done_callback(exchange.finish)
        try:
            yield from exchange.outcomes(paragraphs)
            LOOP_THREAD.result(pump)
        finally:
            pump.cancel()

    def score_frame(
        self,
        frame: "pd.DataFrame",
        text: Hashable = "text",
        *,
        id: Hashable | None = None,  # noqa: A002 - the usual name
        policy: Policy = Policy.CHUNK_MEAN,
        prefix: str = "",
        on_error: OnError = "column",
        progress: Progress | None = None,
    ) -> "pd.DataFrame":
        """Score a column of texts. Returns a frame with the same index: a row for each row.

        A text that cannot be scored is a row without a score: `error` has the name of its gRPC
        status, and `error_message` the reason. None, NaN, `pandas.NA` and values that are not
        strings are INVALID_ARGUMENT. In the following columns, such a row has missing values:

        - `label` (string): the most probable label; `probability` (float32): its probability
        - `labels_above_threshold` (list of strings), only with a multi-label model
        - one column with the probability (float32) of each label
        - `tokens`, `chunks` (Int32), `truncated` (boolean): as in `Score`
        - `flags` (string): reasons why the score is not reliable, separated by commas
        - `model_name` (string), `model_version` (Int64), `precision` (string)

        Args:
            frame: any pandas DataFrame. It is not changed.
            text: the column with the texts. Any type of strings, or categories of strings.
            id: a column that the result also has, as its first one. None for no such column.
            policy: see `Policy`.
            prefix: the beginning of the names of the columns of the labels.
            on_error: "column", or "raise" to raise the error of the first row without a score.
            progress: called in this thread with the number of finished rows and of all rows, at
                most ten times a second and at the end.

        Raises:
            ServiceError: the service does not answer or has no model, after the client has waited
                for it (`BreakerSettings.patience_seconds`); or see `on_error`.
            SettingsError: a column is missing, or the names of two columns of the result are equal.
            TypeError: `frame` is not a pandas DataFrame.
            ImportError: pandas is not installed.
        """

        options = FrameOptions(text, id, prefix, on_error, progress)
        return scored_frame(frame, options, lambda texts: self.score(texts, ordered=False, policy=policy), self.model)

    def model(self) -> ServedModel:
        """The model that the service has loaded, and the service's limits.

        Raises:
            ServiceError: the call failed.
        """
        return LOOP_THREAD.run(lambda: self._call(self._client.model))

    def state(self) -> ClientState:
        """A snapshot of the attempts in flight, the limit, the circuit breaker, and the counts."""
        return LOOP_THREAD.run(self._read_state)

    async def _open(self) -> None:
        if self._state is not _State.OPEN:
            await self._client.__aenter__()
            self._state = _State.OPEN

    async def _close(self) -> None:
        self._state = _State.CLOSED
        calls, self._calls = self._calls, set()
        for call in calls:
            call.cancel()
        await self._client.__aexit__(None, None, None)
        await asyncio.gather(*calls, return_exceptions=True)

    async def _call(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self._state is _State.CLOSED:
            raise RuntimeError(_CLOSED)
        await self._open()
        call = asyncio.current_task()
        assert call is not None  # noqa: S101 - coroutines run in tasks
        self._calls.add(call)
        try:
            return await function()
        except asyncio.CancelledError:
            if call not in self._calls:
                raise RuntimeError(_CLOSED_DURING_CALL) from None
            raise
        finally:
            self._calls.discard(call)

    async def _read_state(self) -> ClientState:
        return self._client.state()
