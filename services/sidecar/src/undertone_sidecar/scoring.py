"""The parts of a call that are the same in every service that scores paragraphs."""

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
import numpy as np

from undertone_sidecar.answers import Answer, Classified, Classifier, Outcome, Paragraph
from undertone_sidecar.batching import Lane
from undertone_sidecar.call_guard import PUSHBACK
from undertone_sidecar.caller import CURRENT_CALLER
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.contract import Contract
from undertone_sidecar.errors import SHUTTING_DOWN, OverloadedError, RequestError, UnavailableError, status_of
from undertone_sidecar.events import LabelsAssigned, Listener, ParagraphsAnswered, ignore
from undertone_sidecar.flags import flag_name
from undertone_sidecar.model import Model
from undertone_sidecar.refusal_pace import RefusalPace
from undertone_sidecar.request_limits import RequestLimits

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

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

log = logging.getLogger(__name__)


class Scoring:
    """Scores the paragraphs of calls with a pipeline, whose clock must be time.monotonic."""

    def __init__(self, pipeline: Classifier, limits: RequestLimits, *, listener: Listener = ignore) -> None:
        self.limits = limits
        self._pipeline = pipeline
        self._listener = listener
        self._pace = RefusalPace()
        self._shutting_down = False

    def refuse_calls(self) -> None:
        """Answers UNAVAILABLE to new calls from now on. Calls in flight are finished."""
        self._shutting_down = True

    def check_running(self) -> None:
        """Raises UnavailableError after `refuse_calls`."""
        if self._shutting_down:
            raise UnavailableError(SHUTTING_DOWN)

    def model(self) -> Model:
        """The served model. Raises UnavailableError."""
        self.check_running()
        return self._pipeline.model()

    async def score(self, paragraphs: Sequence[Paragraph], policy: OverlengthPolicy, deadline: float, lane: Lane) -> Answer:
        """Pipeline.classify for the current caller."""
        return await self._pipeline.classify(paragraphs, policy, deadline, lane, CURRENT_CALLER.get())

    def report(self, outcomes: Sequence[Outcome], contract: Contract) -> None:
        """Reports the paragraphs of a call as answered by the model of the contract."""
        scored = [outcome for outcome in outcomes if isinstance(outcome, Classified)]
        if scored:
            chunks = [classified.chunks for classified in scored if classified.chunks > 1]
            truncated = sum(classified.truncated for classified in scored)
            flags = Counter(flag_name(flag) for classified in scored for flag in classified.flags)
            ok = grpc.StatusCode.OK.name
            self._listener(ParagraphsAnswered(ok, len(scored), truncated, len(chunks), sum(chunks), flags))
            self._listener(LabelsAssigned(contract.version, _count_labels(scored, contract)))
        codes = Counter(status_of(outcome).code for outcome in outcomes if not isinstance(outcome, Classified))
        for code, count in codes.items():
            self._listener(ParagraphsAnswered(code.name, count))

    async def delay_refusal(self, error: BaseException, deadline: float) -> None:
        """Waits before the answer if the error is a refusal, and many calls are refused."""
        if isinstance(error, OverloadedError):
            now = time.monotonic()
            if delay := self._pace.delay(now, deadline - now):
                await asyncio.sleep(delay)


def _count_labels(scored: Sequence[Classified], contract: Contract) -> dict[str, int]:
    """The labels of paragraphs, each with its number of paragraphs."""
    probabilities = np.array([classified.probabilities for classified in scored])
    labels = contract.labels
    if contract.is_multi_label:
        counts = contract.above_threshold(probabilities).sum(axis=0).tolist()
        return {label: count for label, count in zip(labels, counts, strict=True) if count}
    return {labels[index]: count for index, count in Counter(probabilities.argmax(axis=1).tolist()).items()}


def lane_of(value: str | bytes) -> Lane:
    """The lane with this name in the metadata. Raises RequestError."""
    try:
        return Lane(value)
    except ValueError:
        known = " or ".join(repr(lane.value) for lane in Lane)
        raise RequestError(f"{LANE} is {value!r}; send {known}, or leave it out for {Lane.ONLINE.value!r}") from None


def attempt_seconds(metadata: Iterable[tuple[str, str | bytes]]) -> float:
    """Time to answer this attempt of Envoy in seconds, infinite without a limit."""
    milliseconds = next((value for key, value in metadata if key == ATTEMPT_TIMEOUT), None)
    if isinstance(milliseconds, str) and _MILLISECONDS.fullmatch(milliseconds):
        return ATTEMPT_SHARE * int(milliseconds) / 1000
    return math.inf


def deadline_and_lane(context: Context, now: float) -> tuple[float, str | bytes]:
    """The deadline of a call, and the value of its metadata LANE."""
    metadata = context.invocation_metadata() or ()  # gRPC decodes the metadata at each call of this method.
    remaining: float | None = context.time_remaining()  # The type stub lacks None, for calls without a deadline.
    seconds = attempt_seconds(metadata)
    lane = next((value for key, value in metadata if key == LANE), Lane.ONLINE.value)
    return now + (seconds if remaining is None else min(remaining, seconds)), lane


def pushback(seconds: float) -> tuple[tuple[str, str], ...]:
    """Trailers that tell the client to retry after `seconds`."""
    return ((PUSHBACK, str(math.ceil(seconds * 1000))),)


async def abort(context: Context, error: BaseException, *, prefix: str = "") -> NoReturn:
    """Ends the call with the status of the error. The message begins with the prefix."""
    status = status_of(error)
    if status.code is grpc.StatusCode.INTERNAL:
        # Without the message, which may contain the text if another library raised the error.
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("request failed with %s\n%s", type(error).__name__, frames)
    trailer = () if status.retry_after is None else pushback(status.retry_after)
    if status.code is grpc.StatusCode.UNAVAILABLE:
        # A pod that refuses calls has the fewest calls in flight, so Envoy would prefer it.
        trailer += ((HEALTH_CHECK_FAIL, "true"),)
    await context.abort(status.code, prefix + status.message, trailing_metadata=trailer)
    raise AssertionError("abort returned")
