"""A classifier without a model: probabilities from a hash of the text, over a real loopback socket."""

import asyncio
import contextlib
from collections import Counter, deque
from types import TracebackType
from typing import Any, Self

import grpc
from google.rpc import status_pb2
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc
from undertone_protos.v1 import contract_pb2

from undertone_client.errors import PUSHBACK_KEY
from undertone_client.testing.answers import EMOTIONS, MAX_TOKENS, answer
from undertone_client.testing.faults import Call, Fault, ItemFault, Method

GENEROUS = pb.Limits(
    max_paragraph_bytes=262_144, max_paragraph_characters=65_536, max_batch_paragraphs=256, max_batch_bytes=1_048_576
)


class FakeClassifier(pb_grpc.ClassifierServicer):
    """An in-process `grpc.aio` server of the public API, used as `async with FakeClassifier() as service`.

    Script it through its attributes, at any time: `faults` befall the next calls as a whole, one each; `item_faults` fail
    paragraphs by their text, `poison` every call that one of its texts is in; `delay_seconds` holds every answer back; `gate`
    holds back those for paragraphs until it is set, each of `gates` those to calls with its text; `version` is the model
    version that replies name. It remembers `calls`; `in_flight` is how many run now, `most_in_flight` the most. Blank texts
    fail with INVALID_ARGUMENT, as the real service has it. Tokens are words plus two; what is longer than 512 tokens is
    chunked, truncated or refused as the policy asks.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        labels: tuple[str, ...] = EMOTIONS,
        version: int = 1,
        precision: str = "fp32",
        limits: pb.Limits = GENEROUS,
        delay_seconds: float = 0.0,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self.labels = labels
        self.version = version
        self.precision = precision
        self.limits = pb.Limits()
        self.limits.CopyFrom(limits)  # a test may change its own
        self.delay_seconds = delay_seconds
        self.gate = asyncio.Event()
        self.gate.set()
        self.gates: dict[str, asyncio.Event] = {}
        self._arrival = asyncio.Condition()
        self.faults: deque[Fault] = deque()
        self.item_faults: dict[str, ItemFault] = {}
        self.poison: dict[str, Fault] = {}
        self.calls: list[Call] = []
        self.most_in_flight = 0
        self.port = port
        self.in_flight = 0
        self._item_failures: Counter[str] = Counter()
        self._credentials = credentials
        self._server: grpc.aio.Server | None = None

    @property
    def target(self) -> str:
        """The gRPC target of the running server."""
        return f"localhost:{self.port}" if self._credentials else f"127.0.0.1:{self.port}"

    def paragraphs(self) -> list[str]:
        """The texts of all calls so far, in the order of arrival, each as often as it was sent."""
        return [text for call in self.calls for text in call.texts]

    async def until_in_flight(self, calls: int) -> None:
        """Wait until so many calls run at once."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: self.in_flight >= calls)

    async def until_called(self, calls: int) -> None:
        """Wait until so many calls have arrived in all."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: len(self.calls) >= calls)

    async def __aenter__(self) -> Self:
        # Without port reuse, a second server on a taken port fails instead of sharing it.
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
        """Stop at once; calls that are running fail with UNAVAILABLE. Entering again opens the same port."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace=None)

    async def Classify(  # noqa: N802 - named by the API
        self, request: pb.ClassifyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ClassifyResponse:
        async with self._served(_call("Classify", [request], context), context):
            outcome = self._outcome(request.text, request.overlength_policy)
            if isinstance(outcome, ItemFault):
                await context.abort(outcome.status, outcome.reason, _trailers(outcome.pushback_ms))
                raise AssertionError("abort always raises")
            return pb.ClassifyResponse(
                id=request.id,
                label=self.labels[outcome.label_index],
                labels=self.labels,
                probabilities=outcome.probabilities,
                tokens=outcome.tokens,
                truncated=outcome.truncated,
                chunks=outcome.chunks,
                timings=pb.Timings(total_seconds=self.delay_seconds),
                model=self._model(),
            )

    async def ClassifyBatch(  # noqa: N802 - named by the API
        self, request: pb.ClassifyBatchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ClassifyBatchResponse:
        async with self._served(_call("ClassifyBatch", request.paragraphs, context), context):
            results = []
            for paragraph in request.paragraphs:
                outcome = self._outcome(paragraph.text, request.overlength_policy)
                if isinstance(outcome, ItemFault):
                    if outcome.pushback_ms is not None:
                        context.set_trailing_metadata(_trailers(outcome.pushback_ms))
                    error = status_pb2.Status(code=outcome.status.value[0], message=outcome.reason)
                    results.append(pb.ClassifyBatchResult(id=paragraph.id, error=error))
                else:
                    results.append(pb.ClassifyBatchResult(id=paragraph.id, classification=outcome))
            return pb.ClassifyBatchResponse(
                results=results,
                labels=self.labels,
                timings=pb.Timings(total_seconds=self.delay_seconds),
                model=self._model(),
            )

    async def GetModel(  # noqa: N802 - named by the API
        self, request: pb.GetModelRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetModelResponse:
        async with self._served(_call("GetModel", [], context), context):
            model = self._model()
            contract = contract_pb2.ModelContract(
                name=model.name,
                version=model.version,
                precision=model.precision,
                labels=self.labels,
                max_tokens=MAX_TOKENS,
                producer="undertone_client.testing",
            )
            return pb.GetModelResponse(contract=contract, limits=self.limits)

    @contextlib.asynccontextmanager
    async def _served(self, call: Call, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        async with self._arrival:
            self._arrival.notify_all()
        try:
            if call.method != "GetModel":
                await self.gate.wait()
            for text in self.gates.keys() & set(call.texts):
                await self.gates[text].wait()
            await asyncio.sleep(self.delay_seconds)
            if self.faults:
                await _befall(self.faults.popleft(), context)
            for text in self.poison.keys() & set(call.texts):
                await _befall(self.poison[text], context)
            yield
        finally:
            self.in_flight -= 1

    def _outcome(self, text: str, policy: pb.OverlengthPolicy.ValueType) -> pb.Classification | ItemFault:
        fault = self.item_faults.get(text)
        if fault is not None and (fault.times is None or self._item_failures[text] < fault.times):
            self._item_failures[text] += 1
            return fault
        return answer(text, policy, len(self.labels))

    def _model(self) -> pb.ModelInfo:
        return pb.ModelInfo(name="fake", version=self.version, precision=self.precision)


def _call(method: Method, paragraphs: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Call:
    ids = tuple(paragraph.id for paragraph in paragraphs)
    texts = tuple(paragraph.text for paragraph in paragraphs)
    lane = dict(context.invocation_metadata() or ()).get("undertone-lane", "online")
    return Call(method, ids, texts, context.time_remaining(), str(lane))


async def _befall(fault: Fault, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    await asyncio.sleep(fault.delay_seconds)
    if fault.status is not grpc.StatusCode.OK:
        await context.abort(fault.status, fault.reason, _trailers(fault.pushback_ms))


def _trailers(pushback_ms: int | None) -> tuple[tuple[str, str], ...]:
    return () if pushback_ms is None else ((PUSHBACK_KEY, str(pushback_ms)),)
