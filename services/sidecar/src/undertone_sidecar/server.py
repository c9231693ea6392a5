"""The gRPC service undertone.v1.Classifier: reads requests, and answers with results or errors."""

import asyncio
import logging
import math
import re
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn, TypeAlias

import grpc
import grpc.aio
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from undertone_sidecar.batching import Lane
from undertone_sidecar.call_guard import PUSHBACK
from undertone_sidecar.caller import CURRENT_CALLER
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.errors import SHUTTING_DOWN, OverloadedError, RequestError, UnavailableError, status_of
from undertone_sidecar.events import Listener, ParagraphsAnswered, ignore
from undertone_sidecar.pipeline import Classified, Outcome, Paragraph, Pipeline
from undertone_sidecar.refusal_pace import RefusalPace
from undertone_sidecar.request_limits import RequestLimits, text_bytes
from undertone_sidecar.responses import batch_response, classify_response

HEALTH_CHECK_FAIL: Final = "x-envoy-immediate-health-check-fail"
"""Header by which Envoy sends no further calls to this pod until a health check succeeds.

Envoy removes it from replies to callers. Other load balancers ignore it.
"""

LANE: Final = "undertone-lane"
"""Metadata key of a call's lane: "online" (the default) or "batch"."""

ATTEMPT_TIMEOUT: Final = "x-envoy-expected-rq-timeout-ms"
"""Metadata key of the milliseconds after which Envoy gives up this attempt and may send another. It
can be shorter than the deadline of the call."""

ATTEMPT_SHARE: Final = 0.9
"""Share of an attempt's time within which the sidecar answers.

Envoy counts from its last byte of the request to the first of the reply, and the sidecar from the
start of the handler. An answer after the attempt costs the work of another pod.
"""

_MILLISECONDS: Final = re.compile("[0-9]{1,9}")

_POLICIES: Final[dict[int, OverlengthPolicy]] = {
    classifier_pb2.OVERLENGTH_POLICY_UNSPECIFIED: OverlengthPolicy.CHUNK_MEAN,
    classifier_pb2.OVERLENGTH_POLICY_TRUNCATE: OverlengthPolicy.TRUNCATE,
    classifier_pb2.OVERLENGTH_POLICY_CHUNK_MEAN: OverlengthPolicy.CHUNK_MEAN,
    classifier_pb2.OVERLENGTH_POLICY_CHUNK_MAX: OverlengthPolicy.CHUNK_MAX,
    classifier_pb2.OVERLENGTH_POLICY_REJECT: OverlengthPolicy.REJECT,
}

_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

log = logging.getLogger(__name__)


class ClassifierServicer(classifier_pb2_grpc.ClassifierServicer):
    """The service over a pipeline, whose clock must be time.monotonic."""

    def __init__(self, pipeline: Pipeline, limits: RequestLimits, *, listener: Listener = ignore) -> None:
        self._pipeline = pipeline
        self._limits = limits
        self._listener = listener
        self._pace = RefusalPace()
        self._shutting_down = False

    def refuse_calls(self) -> None:
        """Answers UNAVAILABLE to new calls from now on. Calls in flight are finished."""
        self._shutting_down = True

    async def Classify(self, request: classifier_pb2.ClassifyRequest, context: _Context) -> classifier_pb2.ClassifyResponse:  # noqa: N802
        started = time.monotonic()
        deadline, lane_name = _deadline_and_lane(context, started)
        try:
            self._check_running()
            policy, lane = _policy(request.overlength_policy), _lane(lane_name)
            paragraph = Paragraph(request.text, request.id)
            answer = await self._pipeline.classify([paragraph], policy, deadline, lane, CURRENT_CALLER.get())
            self._report(answer.outcomes)
            (outcome,) = answer.outcomes
            if isinstance(outcome, Classified):
                return classify_response(request.id, answer, outcome, started=started)
        except Exception as error:
            await self._delay_refusal(error, deadline)
            await _abort(context, error)
        await self._delay_refusal(outcome, deadline)
        # Not raised: its traceback would refer to this frame, and this frame to the outcome.
        return await _abort(context, outcome)

    async def ClassifyBatch(  # noqa: N802
        self, request: classifier_pb2.ClassifyBatchRequest, context: _Context
    ) -> classifier_pb2.ClassifyBatchResponse:
        started = time.monotonic()
        deadline, lane_name = _deadline_and_lane(context, started)
        try:
            self._check_running()
            policy, lane = _policy(request.overlength_policy), _lane(lane_name)
            self._limits.check_batch(len(request.paragraphs), 0)
            paragraphs = [Paragraph(paragraph.text, paragraph.id) for paragraph in request.paragraphs]
            self._limits.check_batch(len(paragraphs), sum(text_bytes(paragraph.text) for paragraph in paragraphs))
            answer = await self._pipeline.classify(paragraphs, policy, deadline, lane, CURRENT_CALLER.get())
            self._report(answer.outcomes)
            response = batch_response([paragraph.id for paragraph in paragraphs], answer, started=started)
            retry_after = _retry_after(answer.outcomes)
            if retry_after is not None:
                context.set_trailing_metadata(_pushback(retry_after))
            return response
        except Exception as error:
            await _abort(context, error)

    async def GetModel(self, request: classifier_pb2.GetModelRequest, context: _Context) -> classifier_pb2.GetModelResponse:  # noqa: N802
        try:
            self._check_running()
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

    def _check_running(self) -> None:
        if self._shutting_down:
            raise UnavailableError(SHUTTING_DOWN)

    async def _delay_refusal(self, error: BaseException, deadline: float) -> None:
        """Waits before the answer if the error is a refusal, and many calls are refused."""
        if isinstance(error, OverloadedError):
            now = time.monotonic()
            if delay := self._pace.delay(now, deadline - now):
                await asyncio.sleep(delay)

    def _report(self, outcomes: Sequence[Outcome]) -> None:
        scored = [outcome for outcome in outcomes if isinstance(outcome, Classified)]
        if scored:
            chunks = [classified.chunks for classified in scored if classified.chunks > 1]
            truncated = sum(classified.truncated for classified in scored)
            self._listener(ParagraphsAnswered(grpc.StatusCode.OK.name, len(scored), truncated, len(chunks), sum(chunks)))
        codes = Counter(status_of(outcome).code for outcome in outcomes if not isinstance(outcome, Classified))
        for code, count in codes.items():
            self._listener(ParagraphsAnswered(code.name, count))


def _policy(value: int) -> OverlengthPolicy:
    if value not in _POLICIES:
        known = ", ".join(f"{policy.name} ({number})" for number, policy in _POLICIES.items() if number)
        raise RequestError(f"overlength_policy {value} is unknown; send one of {known}, or leave it out")
    return _POLICIES[value]


def _lane(value: str | bytes) -> Lane:
    try:
        return Lane(value)
    except ValueError:
        known = " or ".join(repr(lane.value) for lane in Lane)
        raise RequestError(
            f"the metadata {LANE} is {value!r}; send {known}, or leave it out for {Lane.ONLINE.value!r}"
        ) from None


def attempt_seconds(metadata: Iterable[tuple[str, str | bytes]]) -> float:
    """Time to answer this attempt of Envoy in seconds, infinite without a limit."""
    milliseconds = next((value for key, value in metadata if key == ATTEMPT_TIMEOUT), None)
    if isinstance(milliseconds, str) and _MILLISECONDS.fullmatch(milliseconds):
        return ATTEMPT_SHARE * int(milliseconds) / 1000
    return math.inf


def _deadline_and_lane(context: _Context, now: float) -> tuple[float, str | bytes]:
    """The deadline of a call, and the value of its metadata LANE."""
    metadata = context.invocation_metadata() or ()  # gRPC decodes the metadata at each call of this method.
    remaining: float | None = context.time_remaining()  # The type stub lacks None, for calls without a deadline.
    seconds = attempt_seconds(metadata)
    lane = next((value for key, value in metadata if key == LANE), Lane.ONLINE.value)
    return now + (seconds if remaining is None else min(remaining, seconds)), lane


def _retry_after(outcomes: Iterable[Outcome]) -> float | None:
    """Seconds to wait before the refused paragraphs are sent again. None if none was refused."""
    waits = (status_of(outcome).retry_after for outcome in outcomes if not isinstance(outcome, Classified))
    return max((wait for wait in waits if wait is not None), default=None)


def _pushback(seconds: float) -> tuple[tuple[str, str], ...]:
    return ((PUSHBACK, str(math.ceil(seconds * 1000))),)


async def _abort(context: _Context, error: BaseException) -> NoReturn:
    status = status_of(error)
    if status.code is grpc.StatusCode.INTERNAL:
        # Without the message, which may contain the text if another library raised the error.
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("request failed with %s\n%s", type(error).__name__, frames)
    trailer = () if status.retry_after is None else _pushback(status.retry_after)
    if status.code is grpc.StatusCode.UNAVAILABLE:
        # A pod that refuses calls has the fewest calls in flight, so Envoy would prefer it.
        trailer += ((HEALTH_CHECK_FAIL, "true"),)
    await context.abort(status.code, status.message, trailing_metadata=trailer)
    raise AssertionError("abort returned")
