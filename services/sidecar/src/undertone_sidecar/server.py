"""The gRPC service undertone.v1.Classifier: reads requests, and answers with results or errors."""

import time
from collections.abc import Iterable
from typing import Final

from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from undertone_sidecar.answers import Classified, Outcome, Paragraph
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.errors import RequestError, status_of
from undertone_sidecar.request_limits import text_bytes
from undertone_sidecar.responses import batch_response, classify_response
from undertone_sidecar.scoring import Context, Scoring, abort, deadline_and_lane, lane_of, pushback

_POLICIES: Final[dict[int, OverlengthPolicy]] = {
    classifier_pb2.OVERLENGTH_POLICY_UNSPECIFIED: OverlengthPolicy.CHUNK_MEAN,
    classifier_pb2.OVERLENGTH_POLICY_TRUNCATE: OverlengthPolicy.TRUNCATE,
    classifier_pb2.OVERLENGTH_POLICY_CHUNK_MEAN: OverlengthPolicy.CHUNK_MEAN,
    classifier_pb2.OVERLENGTH_POLICY_CHUNK_MAX: OverlengthPolicy.CHUNK_MAX,
    classifier_pb2.OVERLENGTH_POLICY_REJECT: OverlengthPolicy.REJECT,
}


class ClassifierServicer(classifier_pb2_grpc.ClassifierServicer):
    """The service over a pipeline."""

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring

    async def Classify(self, request: classifier_pb2.ClassifyRequest, context: Context) -> classifier_pb2.ClassifyResponse:  # noqa: N802
        started = time.monotonic()
        deadline, lane_name = deadline_and_lane(context, started)
        try:
            self._scoring.check_running()
            policy, lane = _policy(request.overlength_policy), lane_of(lane_name)
            answer = await self._scoring.score([Paragraph(request.text, request.id)], policy, deadline, lane)
            self._scoring.report(answer.outcomes, answer.model.contract)
            (outcome,) = answer.outcomes
            if isinstance(outcome, Classified):
                return classify_response(request.id, answer, outcome, started=started)
        except Exception as error:
            await self._scoring.delay_refusal(error, deadline)
            await abort(context, error)
        await self._scoring.delay_refusal(outcome, deadline)
        # Not raised: its traceback would refer to this frame, and this frame to the outcome.
        return await abort(context, outcome)

    async def ClassifyBatch(  # noqa: N802
        self, request: classifier_pb2.ClassifyBatchRequest, context: Context
    ) -> classifier_pb2.ClassifyBatchResponse:
        started = time.monotonic()
        deadline, lane_name = deadline_and_lane(context, started)
        limits = self._scoring.limits
        try:
            self._scoring.check_running()
            policy, lane = _policy(request.overlength_policy), lane_of(lane_name)
            limits.check_batch(len(request.paragraphs), 0)
            paragraphs = [Paragraph(paragraph.text, paragraph.id) for paragraph in request.paragraphs]
            limits.check_batch(len(paragraphs), sum(text_bytes(paragraph.text) for paragraph in paragraphs))
            answer = await self._scoring.score(paragraphs, policy, deadline, lane)
            self._scoring.report(answer.outcomes, answer.model.contract)
            response = batch_response([paragraph.id for paragraph in paragraphs], answer, started=started)
            retry_after = _retry_after(answer.outcomes)
            if retry_after is not None:
                context.set_trailing_metadata(pushback(retry_after))
            return response
        except Exception as error:
            await abort(context, error)

    async def GetModel(self, request: classifier_pb2.GetModelRequest, context: Context) -> classifier_pb2.GetModelResponse:  # noqa: N802
        limits = self._scoring.limits
        try:
            contract = self._scoring.model().contract.message
        except Exception as error:
            await abort(context, error)
        return classifier_pb2.GetModelResponse(
            contract=contract,
            limits=classifier_pb2.Limits(
                max_paragraph_bytes=limits.paragraph_bytes,
                max_paragraph_characters=limits.paragraph_characters,
                max_batch_paragraphs=limits.batch_paragraphs,
                max_batch_bytes=limits.batch_bytes,
            ),
        )


def _policy(value: int) -> OverlengthPolicy:
    if value not in _POLICIES:
        known = ", ".join(f"{policy.name} ({number})" for number, policy in _POLICIES.items() if number)
        raise RequestError(f"overlength_policy {value} is unknown; send one of {known}, or leave it out")
    return _POLICIES[value]


def _retry_after(outcomes: Iterable[Outcome]) -> float | None:
    """Seconds to wait before the refused paragraphs are sent again. None if none was refused."""
    waits = (status_of(outcome).retry_after for outcome in outcomes if not isinstance(outcome, Classified))
    return max((wait for wait in waits if wait is not None), default=None)
