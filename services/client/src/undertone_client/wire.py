"""Between this package's values and the messages of the public API; the only module that knows both."""

from collections.abc import Sequence
from functools import lru_cache

import grpc
from undertone_protos.v1 import classifier_pb2 as pb

from undertone_client.errors import ServiceFaultError
from undertone_client.resilience.statuses import OVERLOADING, RETRIED
from undertone_client.values import Failure, Limits, Model, Outcome, Paragraph, Policy, Score, ServedModel, Timings

POLICIES = {
    Policy.TRUNCATE: pb.OVERLENGTH_POLICY_TRUNCATE,
    Policy.CHUNK_MEAN: pb.OVERLENGTH_POLICY_CHUNK_MEAN,
    Policy.CHUNK_MAX: pb.OVERLENGTH_POLICY_CHUNK_MAX,
    Policy.REJECT: pb.OVERLENGTH_POLICY_REJECT,
}
STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


def single_request(paragraph: Paragraph, policy: Policy) -> pb.ClassifyRequest:
    """The request for one paragraph."""
    return pb.ClassifyRequest(text=paragraph.text, id=paragraph.id, overlength_policy=POLICIES[policy])


def batch_request(paragraphs: Sequence[Paragraph], policy: Policy) -> pb.ClassifyBatchRequest:
    """The request for several paragraphs."""
    request = pb.ClassifyBatchRequest(overlength_policy=POLICIES[policy])
    for paragraph in paragraphs:
        request.paragraphs.add(text=paragraph.text, id=paragraph.id)
    return request


def single_score(reply: pb.ClassifyResponse, paragraph: Paragraph) -> Score:
    """The score in the reply.

    Raises:
        ServiceFaultError: labels and probabilities do not belong together.
    """
    if len(reply.labels) != len(reply.probabilities):
        raise _malformed(f"{len(reply.probabilities)} probabilities for {len(reply.labels)} labels")
    return Score(
        paragraph=paragraph,
        label=reply.label,
        labels=tuple(reply.labels),
        probabilities=tuple(reply.probabilities),
        tokens=reply.tokens,
        truncated=reply.truncated,
        chunks=reply.chunks,
        timings=_timings(reply.timings),
        model=_model(reply.model.name, reply.model.version, reply.model.precision),
    )


def batch_outcomes(reply: pb.ClassifyBatchResponse, paragraphs: Sequence[Paragraph]) -> list[Outcome]:
    """A score or a failure for each paragraph of the request, in order; failures carry one attempt.

    Raises:
        ServiceFaultError: the reply does not belong to the request.
    """
    if len(reply.results) != len(paragraphs):
        raise _malformed(f"{len(reply.results)} results for {len(paragraphs)} paragraphs")
    labels = tuple(reply.labels)
    timings = _timings(reply.timings)
    model = _model(reply.model.name, reply.model.version, reply.model.precision)
    outcomes: list[Outcome] = []
    for result, paragraph in zip(reply.results, paragraphs, strict=True):
        kind = result.WhichOneof("outcome")
        if kind == "error":
            status = STATUS_CODES.get(result.error.code, grpc.StatusCode.UNKNOWN)
            outcomes.append(Failure(paragraph, status, result.error.message or "no details were given", attempts=1))
            continue
        found = result.classification
        probabilities = tuple(found.probabilities[:])  # a slice is a list, made at once; the container iterates slowly
        if kind is None or len(probabilities) != len(labels) or found.label_index >= len(labels):
            raise _malformed("a result has no outcome, or one that does not fit the labels")
        outcomes.append(
            Score(
                paragraph=paragraph,
                label=labels[found.label_index],
                labels=labels,
                probabilities=probabilities,
                tokens=found.tokens,
                truncated=found.truncated,
                chunks=found.chunks,
                timings=timings,
                model=model,
            )
        )
    return outcomes


def refused(reply: object) -> grpc.StatusCode | None:
    """The status with which a reply says that there was no room or time for a paragraph, the first such; None if all had."""
    if isinstance(reply, pb.ClassifyBatchResponse):
        for result in reply.results:
            if result.HasField("error") and (status := STATUS_CODES.get(result.error.code)) in RETRIED | OVERLOADING:
                return status
    return None


def served_model(reply: pb.GetModelResponse) -> ServedModel:
    """What the service says about its model and itself."""
    contract, limits = reply.contract, reply.limits
    return ServedModel(
        model=_model(contract.name, contract.version, contract.precision),
        labels=tuple(contract.labels),
        max_tokens=contract.max_tokens,
        limits=Limits(
            max_paragraph_bytes=limits.max_paragraph_bytes,
            max_paragraph_characters=limits.max_paragraph_characters,
            max_batch_paragraphs=limits.max_batch_paragraphs,
            max_batch_bytes=limits.max_batch_bytes,
        ),
        contract=contract,
    )


@lru_cache(maxsize=16)  # one object for all the scores of a model, not one for each reply
def _model(name: str, version: int, precision: str) -> Model:
    return Model(name, version, precision)


def _timings(timings: pb.Timings) -> Timings:
    return Timings(timings.queue_seconds, timings.tokenize_seconds, timings.predict_seconds, timings.total_seconds)


def _malformed(what: str) -> ServiceFaultError:
    return ServiceFaultError(grpc.StatusCode.INTERNAL, f"the reply is malformed: {what}")
