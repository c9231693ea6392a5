"""A classifier without a model: computes probabilities from a hash of the text."""

import asyncio
import contextlib
import hashlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, Self

import grpc
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc
from undertone_protos.v1 import contract_pb2

from undertone_client.errors import PUSHBACK_KEY
from undertone_client.testing.faults import Fault, ItemFault, ReceivedCall
from undertone_client.transport import Method
from undertone_client.values import MAX_ID_CHARACTERS, ProblemType

Context = grpc.aio.ServicerContext[Any, Any]

EMOTIONS = ("joy", "sadness", "anger", "fear", "anticipation", "surprise", "love", "disgust", "neutral")
MAX_TOKENS = 512
LIMITS = pb.Limits(
    max_paragraph_bytes=262_144, max_paragraph_characters=65_536, max_batch_paragraphs=256, max_batch_bytes=1_048_576
)
_PROBLEM_TYPES = {
    ProblemType.SINGLE_LABEL: contract_pb2.PROBLEM_TYPE_SINGLE_LABEL,
    ProblemType.MULTI_LABEL: contract_pb2.PROBLEM_TYPE_MULTI_LABEL,
}


def expected_probabilities(text: str, labels: int = len(EMOTIONS)) -> tuple[float, ...]:
    """The probabilities of a single-label fake for `text`. They depend on the text alone."""
    weights = [byte + 1 for byte in hashlib.shake_256(text.encode()).digest(labels)]
    return tuple(weight / sum(weights) for weight in weights)


def expected_independent_probabilities(text: str, labels: int = len(EMOTIONS)) -> tuple[float, ...]:
    """The probabilities of a multi-label fake for `text`: multiples of 1/256."""
    return tuple(byte / 256 for byte in hashlib.shake_256(text.encode()).digest(labels))


class FakeClassifier(pb_grpc.ClassifierServicer):
    """A gRPC server of the public API on a loopback socket.

    Used as `async with FakeClassifier() as service`. A paragraph has as many tokens as words, plus
    two. Paragraphs of more than 512 tokens are chunked, truncated or rejected by their policy.
    Blank ones and those with an id of more than 256 characters fail with INVALID_ARGUMENT, as in
    the real service.

    With `thresholds`, one for each label, the model is multi-label.

    Attributes:
        delay_seconds: time before each reply. This attribute and the following ones, up to `gates`,
            may be changed at any time.
        version: the model version in replies.
        limits: the limits in replies of GetModel.
        faults: the results of the next calls, one for each call.
        planted: probabilities of texts, in place of those that depend on the text, by text.
        item_faults: failures of paragraphs, by text.
        flags: flags of paragraphs, by text.
        poison: the result of each call that contains a text, by text.
        gate: calls with paragraphs wait until this event is set.
        gates: calls that contain a text wait until its event is set, by text.
        calls: all calls so far.
        in_flight: the number of calls in flight.
        most_in_flight: the largest number of calls in flight so far.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        labels: tuple[str, ...] = EMOTIONS,
        thresholds: tuple[float, ...] = (),
        version: int = 1,
        precision: str = "fp32",
        limits: pb.Limits = LIMITS,
        delay_seconds: float = 0.0,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        if thresholds and len(thresholds) != len(labels):
            raise ValueError(f"{len(thresholds)} thresholds for {len(labels)} labels")
        self.labels = labels
        self.thresholds = thresholds
        self.version = version
        self.precision = precision
        self.limits = pb.Limits()
        self.limits.CopyFrom(limits)  # tests may change theirs
        self.delay_seconds = delay_seconds
        self.gate = asyncio.Event()
        self.gate.set()
        self.gates: dict[str, asyncio.Event] = {}
        self.faults: deque[Fault] = deque()
        self.planted: dict[str, tuple[float, ...]] = {}
        self.item_faults: dict[str, ItemFault] = {}
        self.flags: dict[str, tuple[pb.Flag.ValueType, ...]] = {}
        self.poison: dict[str, Fault] = {}
        self.calls: list[ReceivedCall] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.port = port
        self._arrival = asyncio.Condition()
        self._item_failures: Counter[str] = Counter()
        self._credentials = credentials
        self._server: grpc.aio.Server | None = None

    @property
    def problem_type(self) -> ProblemType:
        """`MULTI_LABEL` if there are thresholds."""
        return ProblemType.MULTI_LABEL if self.thresholds else ProblemType.SINGLE_LABEL

    @property
    def target(self) -> str:
        """The gRPC target of the running server."""
        return f"localhost:{self.port}" if self._credentials else f"127.0.0.1:{self.port}"

    def paragraphs(self) -> list[str]:
        """The texts of all calls so far, in the order of arrival."""
        return [text for call in self.calls for text in call.texts]

    async def until_in_flight(self, calls: int) -> None:
        """Wait until this number of calls is in flight."""
        await self._wait_for(lambda: self.in_flight >= calls)

    async def until_called(self, calls: int) -> None:
        """Wait until this number of calls has arrived."""
        await self._wait_for(lambda: len(self.calls) >= calls)

    async def __aenter__(self) -> Self:
        # Without port reuse, a second server on the same port fails instead of sharing it.
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        pb_grpc.add_ClassifierServicer_to_server(self, self._server)
        address = f"127.0.0.1:{self.port}"
        if self._credentials:
            self.port = self._server.add_secure_port(address, self._credentials)
        else:
            self.port = self._server.add_insecure_port(address)
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop at once, so that calls in flight fail. Entering again opens the same port."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace=None)

    async def Classify(self, request: pb.ClassifyRequest, context: Context) -> pb.ClassifyResponse:  # noqa: N802 - gRPC
        async with self._receive("Classify", [request], context):
            outcome = self._score(request.text, request.id, request.overlength_policy)
            if isinstance(outcome, ItemFault):
                await context.abort(outcome.status, outcome.reason, _trailers(outcome.pushback_ms))
                raise AssertionError("abort always raises")
            return pb.ClassifyResponse(
                id=request.id,
                label=outcome.label,
                labels=self.labels,
                probabilities=outcome.probabilities,
                tokens=outcome.tokens,
                truncated=outcome.truncated,
                chunks=outcome.chunks,
                timings=pb.Timings(total_seconds=self.delay_seconds),
                model=self._model(),
                problem_type=_PROBLEM_TYPES[self.problem_type],
                labels_above_threshold=[self.labels[index] for index in outcome.label_indexes_above_threshold],
                flags=outcome.flags,
            )

    async def ClassifyBatch(  # noqa: N802 - gRPC
        self, request: pb.ClassifyBatchRequest, context: Context
    ) -> pb.ClassifyBatchResponse:
        async with self._receive("ClassifyBatch", request.paragraphs, context):
            timings = pb.Timings(total_seconds=self.delay_seconds)
            reply = pb.ClassifyBatchResponse(
                labels=self.labels, timings=timings, model=self._model(), problem_type=_PROBLEM_TYPES[self.problem_type]
            )
            for paragraph in request.paragraphs:
                outcome = self._score(paragraph.text, paragraph.id, request.overlength_policy)
                result = reply.results.add(id=paragraph.id)
                if isinstance(outcome, ItemFault):
                    if outcome.pushback_ms is not None:
                        context.set_trailing_metadata(_trailers(outcome.pushback_ms))
                    result.error.code = outcome.status.value[0]
                    result.error.message = outcome.reason
                else:
                    result.classification.CopyFrom(outcome)
            return reply

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:  # noqa: N802 - gRPC
        async with self._receive("GetModel", [], context):
            model = self._model()
            contract = contract_pb2.ModelContract(
                name=model.name,
                version=model.version,
                precision=model.precision,
                labels=self.labels,
                max_tokens=MAX_TOKENS,
                producer="undertone_client.testing",
                problem_type=_PROBLEM_TYPES[self.problem_type],
                thresholds=self.thresholds,
            )
            return pb.GetModelResponse(contract=contract, limits=self.limits)

    @contextlib.asynccontextmanager
    async def _receive(self, method: Method, paragraphs: Sequence[Any], context: Context) -> AsyncIterator[None]:
        ids, texts = tuple(each.id for each in paragraphs), tuple(each.text for each in paragraphs)
        lane = dict(context.invocation_metadata() or ()).get("undertone-lane", "online")
        self.calls.append(ReceivedCall(method, ids, texts, context.time_remaining(), str(lane)))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        async with self._arrival:
            self._arrival.notify_all()
        try:
            if method != "GetModel":
                await self.gate.wait()
            for text in self.gates.keys() & set(texts):
                await self.gates[text].wait()
            await asyncio.sleep(self.delay_seconds)
            if self.faults:
                await _apply(self.faults.popleft(), context)
            for text in self.poison.keys() & set(texts):
                await _apply(self.poison[text], context)
            yield
        finally:
            self.in_flight -= 1

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        async with self._arrival:
            await self._arrival.wait_for(condition)

    def _score(self, text: str, ident: str, policy: pb.OverlengthPolicy.ValueType) -> pb.Classification | ItemFault:
        fault = self.item_faults.get(text)
        if fault is not None and (fault.times is None or self._item_failures[text] < fault.times):
            self._item_failures[text] += 1
            return fault
        if len(ident) > MAX_ID_CHARACTERS:
            return ItemFault(grpc.StatusCode.INVALID_ARGUMENT, f"id has {len(ident)} characters")
        if not text.strip():
            return ItemFault(grpc.StatusCode.INVALID_ARGUMENT, "the text is empty")
        tokens = len(text.split()) + 2
        if tokens > MAX_TOKENS and policy == pb.OVERLENGTH_POLICY_REJECT:
            return ItemFault(grpc.StatusCode.INVALID_ARGUMENT, f"{tokens} tokens, the model reads {MAX_TOKENS}")
        truncated = tokens > MAX_TOKENS and policy == pb.OVERLENGTH_POLICY_TRUNCATE
        expected = expected_independent_probabilities if self.thresholds else expected_probabilities
        probabilities = self.planted.get(text) or expected(text, len(self.labels))
        above = [index for index, threshold in enumerate(self.thresholds) if probabilities[index] >= threshold]
        label_index = probabilities.index(max(probabilities))
        return pb.Classification(
            label_index=label_index,
            label=self.labels[label_index],
            probabilities=probabilities,
            tokens=tokens,
            truncated=truncated,
            chunks=1 if truncated else -(-tokens // MAX_TOKENS),
            label_indexes_above_threshold=above,
            flags=self.flags.get(text, ()),
        )

    def _model(self) -> pb.ModelInfo:
        return pb.ModelInfo(name="fake", version=self.version, precision=self.precision)


async def _apply(fault: Fault, context: Context) -> None:
    await asyncio.sleep(fault.delay_seconds)
    if fault.status is not grpc.StatusCode.OK:
        await context.abort(fault.status, fault.reason, _trailers(fault.pushback_ms))


def _trailers(pushback_ms: int | None) -> tuple[tuple[str, str], ...]:
    return () if pushback_ms is None else ((PUSHBACK_KEY, str(pushback_ms)),)
