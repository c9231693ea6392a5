"""The public API: requests in, pipeline, replies out. Errors become gRPC statuses here and nowhere else."""

import logging
import math
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn, TypeAlias

import grpc
import grpc.aio
from google.rpc import status_pb2
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from undertone_sidecar.batching import Lane
from undertone_sidecar.chunks import Policy
from undertone_sidecar.errors import RequestError, Status, UnavailableError, status_of
from undertone_sidecar.events import Listener, ParagraphsAnswered, ignore
from undertone_sidecar.limits import Limits, text_bytes
from undertone_sidecar.model import Model
from undertone_sidecar.pipeline import Answer, Classified, Outcome, Paragraph, Pipeline

PUSHBACK: Final = "grpc-retry-pushback-ms"
"""Trailer of gRPC's retry design (gRFC A6): the milliseconds after which the client may come again."""

LANE: Final = "undertone-lane"
"""Key of a request's metadata: "online" (the default) or "batch"."""

_POLICIES: Final[dict[int, Policy]] = {
    classifier_pb2.OVERLENGTH_POLICY_UNSPECIFIED: Policy.CHUNK_MEAN,
    classifier_pb2.OVERLENGTH_POLICY_TRUNCATE: Policy.TRUNCATE,
    classifier_pb2.OVERLENGTH_POLICY_CHUNK_MEAN: Policy.CHUNK_MEAN,
    classifier_pb2.OVERLENGTH_POLICY_CHUNK_MAX: Policy.CHUNK_MAX,
    classifier_pb2.OVERLENGTH_POLICY_REJECT: Policy.REJECT,
}

_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

log = logging.getLogger(__name__)


class ClassifierServicer(classifier_pb2_grpc.ClassifierServicer):
    """undertone.v1.Classifier over a pipeline. Its clock is time.monotonic, as the pipeline's must be."""

    def __init__(self, pipeline: Pipeline, limits: Limits, *, listener: Listener = ignore) -> None:
        self._pipeline = pipeline
        self._limits = limits
        self._listener = listener
        self._refusing = False

    def refuse(self) -> None:
        """Answers UNAVAILABLE to every request from now on; those that are being answered go on."""
        self._refusing = True

    async def Classify(self, request: classifier_pb2.ClassifyRequest, context: _Context) -> classifier_pb2.ClassifyResponse:  # noqa: N802
        started = time.monotonic()
        try:
            self._check_open()
            policy, lane = _policy(request.overlength_policy), _lane(context)
            paragraph = Paragraph(request.text, request.id)
            answer = await self._pipeline.classify([paragraph], policy, _deadline(context, started), lane)
            self._count(answer.outcomes)
            (outcome,) = answer.outcomes
            if isinstance(outcome, BaseException):
                raise outcome
            return _response(request.id, answer, outcome, started)
        except Exception as error:
            await _abort(context, error)

    async def ClassifyBatch(  # noqa: N802
        self, request: classifier_pb2.ClassifyBatchRequest, context: _Context
    ) -> classifier_pb2.ClassifyBatchResponse:
        started = time.monotonic()
        try:
            self._check_open()
            policy, lane = _policy(request.overlength_policy), _lane(context)
            paragraphs = [Paragraph(paragraph.text, paragraph.id) for paragraph in request.paragraphs]
            self._limits.check_batch(len(paragraphs), sum(text_bytes(paragraph.text) for paragraph in paragraphs))
            answer = await self._pipeline.classify(paragraphs, policy, _deadline(context, started), lane)
            self._count(answer.outcomes)
            response, retry_after = _batch_response(paragraphs, answer, started)
            if retry_after is not None:
                context.set_trailing_metadata(_pushback(retry_after))
            return response
        except Exception as error:
            await _abort(context, error)

    async def GetModel(self, request: classifier_pb2.GetModelRequest, context: _Context) -> classifier_pb2.GetModelResponse:  # noqa: N802
        try:
            self._check_open()
            contract = self._pipeline.model().contract.message
        except Exception as error:
            await _abort(context, error)
        return classifier_pb2.GetModelResponse(
            contract=contract,
            limits=classifier_pb2.Limits(
                max_paragraph_bytes=self._limits.paragraph_bytes,
                max_paragraph_characters=self._limits.paragraph_characters,
                max_batch_paragraphs=self._limits.batch_paragraphs,
                max_batch_bytes=self._limits.batch_bytes,
            ),
        )

    def _check_open(self) -> None:
        if self._refusing:
            raise UnavailableError("the sidecar is shutting down; another one will answer")

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        answered = [outcome for outcome in outcomes if isinstance(outcome, Classified)]
        if answered:
            cut = [classified.chunks for classified in answered if classified.chunks > 1]
            truncated = sum(classified.truncated for classified in answered)
            self._listener(ParagraphsAnswered(grpc.StatusCode.OK.name, len(answered), truncated, len(cut), sum(cut)))
        codes = Counter(status_of(outcome).code for outcome in outcomes if not isinstance(outcome, Classified))
        for code, count in codes.items():
            self._listener(ParagraphsAnswered(code.name, count))


def _policy(value: int) -> Policy:
    if value not in _POLICIES:
        known = ", ".join(f"{name} ({number})" for name, number in classifier_pb2.OverlengthPolicy.items())
        raise RequestError(f"overlength_policy {value} is unknown; send one of {known}")
    return _POLICIES[value]


def _lane(context: _Context) -> Lane:
    value = next((value for key, value in context.invocation_metadata() or () if key == LANE), Lane.ONLINE.value)
    try:
        return Lane(value)
    except ValueError:
        known = " or ".join(repr(lane.value) for lane in Lane)
        raise RequestError(
            f"the metadata {LANE} is {value!r}; send {known}, or leave it out for {Lane.ONLINE.value!r}"
        ) from None


def _deadline(context: _Context, now: float) -> float:
    remaining: float | None = context.time_remaining()  # the stub forgets that calls may have no deadline
    return math.inf if remaining is None else now + remaining


def _model_info(model: Model) -> classifier_pb2.ModelInfo:
    contract = model.contract
    return classifier_pb2.ModelInfo(name=contract.name, version=contract.version, precision=contract.precision)


def _timings(answer: Answer, started: float) -> classifier_pb2.Timings:
    return classifier_pb2.Timings(
        tokenize_seconds=answer.stages.tokenize,
        queue_seconds=answer.stages.queue,
        predict_seconds=answer.stages.predict,
        total_seconds=time.monotonic() - started,
    )


def _response(identifier: str, answer: Answer, classified: Classified, started: float) -> classifier_pb2.ClassifyResponse:
    labels = answer.model.contract.labels
    return classifier_pb2.ClassifyResponse(
        id=identifier,
        label=labels[int(classified.probabilities.argmax())],
        labels=labels,
        probabilities=classified.probabilities.tolist(),
        tokens=classified.tokens,
        truncated=classified.truncated,
        chunks=classified.chunks,
        timings=_timings(answer, started),
        model=_model_info(answer.model),
    )


def _batch_response(
    paragraphs: Iterable[Paragraph], answer: Answer, started: float
) -> tuple[classifier_pb2.ClassifyBatchResponse, float | None]:
    """The reply, and the seconds after which the paragraphs that found no room may come again."""
    response = classifier_pb2.ClassifyBatchResponse(labels=answer.model.contract.labels, model=_model_info(answer.model))
    retry_after: float | None = None
    for paragraph, outcome in zip(paragraphs, answer.outcomes, strict=True):
        result = response.results.add(id=paragraph.id)
        if isinstance(outcome, Classified):
            result.classification.label_index = int(outcome.probabilities.argmax())
            result.classification.probabilities.extend(outcome.probabilities.tolist())
            result.classification.tokens = outcome.tokens
            result.classification.truncated = outcome.truncated
            result.classification.chunks = outcome.chunks
        else:
            status = status_of(outcome)
            result.error.CopyFrom(status_pb2.Status(code=status.code.value[0], message=status.message))
            retry_after = max((after for after in (retry_after, status.retry_after) if after is not None), default=None)
    response.timings.CopyFrom(_timings(answer, started))
    return response, retry_after


def _pushback(seconds: float) -> tuple[tuple[str, str], ...]:
    return ((PUSHBACK, str(math.ceil(seconds * 1000))),)


async def _abort(context: _Context, error: Exception) -> NoReturn:
    status: Status = status_of(error)
    if status.code is grpc.StatusCode.INTERNAL:
        # Where it happened, not what it said: a foreign message might quote the text.
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("request failed with %s\n%s", type(error).__name__, frames)
    trailer = () if status.retry_after is None else _pushback(status.retry_after)
    await context.abort(status.code, status.message, trailing_metadata=trailer)
    raise AssertionError("abort returned")
