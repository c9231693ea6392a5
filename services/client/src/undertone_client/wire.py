"""Conversion between this package's values and the messages of the public API."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import grpc
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import contract_pb2

from undertone_client.errors import OVERLOAD, RETRYABLE, ServiceFaultError, SettingsError, pushback_seconds
from undertone_client.transport import Reply, Request
from undertone_client.values import (
    Failure,
    Flag,
    Model,
    Outcome,
    Paragraph,
    Policy,
    ProblemType,
    Score,
    ServedModel,
    ServiceLimits,
    Timings,
)

_POLICIES = {
    Policy.TRUNCATE: pb.OVERLENGTH_POLICY_TRUNCATE,
    Policy.CHUNK_MEAN: pb.OVERLENGTH_POLICY_CHUNK_MEAN,
    Policy.CHUNK_MAX: pb.OVERLENGTH_POLICY_CHUNK_MAX,
    Policy.REJECT: pb.OVERLENGTH_POLICY_REJECT,
}
_PROBLEM_TYPES: dict[int, ProblemType] = {
    contract_pb2.PROBLEM_TYPE_UNSPECIFIED: ProblemType.SINGLE_LABEL,  # an older service
    contract_pb2.PROBLEM_TYPE_SINGLE_LABEL: ProblemType.SINGLE_LABEL,
    contract_pb2.PROBLEM_TYPE_MULTI_LABEL: ProblemType.MULTI_LABEL,
}
_FLAGS: dict[int, str] = {pb.FLAG_LANGUAGE: Flag.LANGUAGE, pb.FLAG_UNREADABLE: Flag.UNREADABLE}
_STATUSES = {status.value[0]: status for status in grpc.StatusCode}
_REFUSALS = RETRYABLE | OVERLOAD


def single_request(paragraph: Paragraph, policy: Policy) -> Request:
    """The request for one paragraph."""
    message = pb.ClassifyRequest(text=paragraph.text, id=paragraph.id, overlength_policy=_number(policy))
    return Request("Classify", message)


def batch_request(paragraphs: Iterable[Paragraph], policy: Policy) -> Request:
    """The request for several paragraphs."""
    message = pb.ClassifyBatchRequest(overlength_policy=_number(policy))
    for paragraph in paragraphs:
        message.paragraphs.add(text=paragraph.text, id=paragraph.id)
    return Request("ClassifyBatch", message)


def _number(policy: Policy) -> "pb.OverlengthPolicy.ValueType":
    if policy not in _POLICIES:
        raise SettingsError(f"policy is {policy!r}; use one of {', '.join(map(repr, map(str, Policy)))}")
    return _POLICIES[policy]


def model_request() -> Request:
    """The request for the loaded model."""
    return Request("GetModel", pb.GetModelRequest())


def read_reply(message: Any, trailers: Iterable[tuple[str, str | bytes]] | None) -> Reply:
    """Makes a `Reply` from the message and the trailers that gRPC received."""
    return Reply(message, _refused_status(message), pushback_seconds(trailers))


def single_score(message: pb.ClassifyResponse, paragraph: Paragraph) -> Score:
    """The score in a reply to `single_request`.

    Raises:
        ServiceFaultError: the numbers of labels and probabilities differ, or the labels above their
            threshold do not fit the labels or the problem type.
    """
    if len(message.labels) != len(message.probabilities):
        raise _malformed(f"{len(message.probabilities)} probabilities for {len(message.labels)} labels")
    problem_type, above = _problem_type(message.problem_type), tuple(message.labels_above_threshold)
    if above and (problem_type is ProblemType.SINGLE_LABEL or not set(above) <= set(message.labels)):
        raise _malformed("the labels above their threshold do not fit the labels or the problem type")
    return Score(
        paragraph=paragraph,
        label=message.label,
        labels=tuple(message.labels),
        probabilities=tuple(message.probabilities),
        tokens=message.tokens,
        truncated=message.truncated,
        chunks=message.chunks,
        timings=_timings(message.timings),
        model=_model(message.model.name, message.model.version, message.model.precision),
        problem_type=problem_type,
        labels_above_threshold=above,
        flags=_flags(message.flags),
    )


def batch_outcomes(message: pb.ClassifyBatchResponse, paragraphs: Sequence[Paragraph], *, attempts: int) -> list[Outcome]:
    """A score or a failure for each paragraph of the request, in order.

    Failures carry the number of `attempts`.

    Raises:
        ServiceFaultError: the reply does not fit the request.
    """
    if len(message.results) != len(paragraphs):
        raise _malformed(f"{len(message.results)} results for {len(paragraphs)} paragraphs")
    labels = tuple(message.labels)
    timings = _timings(message.timings)
    model = _model(message.model.name, message.model.version, message.model.precision)
    problem_type = _problem_type(message.problem_type)
    threshold_labels = labels if problem_type is ProblemType.MULTI_LABEL else ()
    outcomes: list[Outcome] = []
    for result, paragraph in zip(message.results, paragraphs, strict=True):
        kind = result.WhichOneof("outcome")
        if kind == "error":
            status = _STATUSES.get(result.error.code, grpc.StatusCode.UNKNOWN)
            outcomes.append(Failure(paragraph, status, result.error.message or "no details were given", attempts))
            continue
        classification = result.classification
        probabilities = tuple(classification.probabilities[:])  # a slice is a list; iterating over the container is slow
        if kind is None or len(probabilities) != len(labels) or classification.label_index >= len(labels):
            raise _malformed("a result has no outcome, or one that does not fit the labels")
        above: tuple[str, ...] = ()
        if classification.label_indexes_above_threshold:
            indexes = classification.label_indexes_above_threshold[:]
            if max(indexes) >= len(threshold_labels):
                raise _malformed("the labels above their threshold do not fit the labels or the problem type")
            above = tuple([labels[index] for index in indexes])
        outcomes.append(
            Score(
                paragraph=paragraph,
                label=labels[classification.label_index],
                labels=labels,
                probabilities=probabilities,
                tokens=classification.tokens,
                truncated=classification.truncated,
                chunks=classification.chunks,
                timings=timings,
                model=model,
                problem_type=problem_type,
                labels_above_threshold=above,
                flags=_flags(classification.flags) if classification.flags else (),
            )
        )
    return outcomes


def served_model(message: pb.GetModelResponse) -> ServedModel:
    """The model and the limits in a reply to `model_request`.

    Raises:
        ServiceFaultError: the numbers of labels and thresholds differ.
    """
    contract, limits = message.contract, message.limits
    problem_type, thresholds = _problem_type(contract.problem_type), tuple(contract.thresholds)
    if len(thresholds) != (len(contract.labels) if problem_type is ProblemType.MULTI_LABEL else 0):
        raise _malformed(f"{len(thresholds)} thresholds for {len(contract.labels)} labels of a {problem_type} model")
    return ServedModel(
        model=_model(contract.name, contract.version, contract.precision),
        labels=tuple(contract.labels),
        max_tokens=contract.max_tokens,
        limits=ServiceLimits(
            max_paragraph_bytes=limits.max_paragraph_bytes,
            max_paragraph_characters=limits.max_paragraph_characters,
            max_batch_paragraphs=limits.max_batch_paragraphs,
            max_batch_bytes=limits.max_batch_bytes,
        ),
        contract=contract,
        problem_type=problem_type,
        thresholds=thresholds,
    )


def _refused_status(message: Any) -> grpc.StatusCode | None:
    """The status of the first refused paragraph, or None; see `Reply`."""
    if isinstance(message, pb.ClassifyBatchResponse):
        for result in message.results:
            if result.HasField("error") and (status := _STATUSES.get(result.error.code)) in _REFUSALS:
                return status
    return None


@lru_cache(maxsize=16)  # one object for all scores of a model, instead of one for each reply
def _model(name: str, version: int, precision: str) -> Model:
    return Model(name, version, precision)


def _problem_type(value: int) -> ProblemType:
    if value not in _PROBLEM_TYPES:
        raise _malformed(f"the problem type {value} is not known to this release of the client")
    return _PROBLEM_TYPES[value]


def _flags(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(_FLAGS.get(number, f"unknown-{number}") for number in numbers)


def _timings(timings: pb.Timings) -> Timings:
    return Timings(timings.queue_seconds, timings.tokenize_seconds, timings.predict_seconds, timings.total_seconds)


def _malformed(problem: str) -> ServiceFaultError:
    return ServiceFaultError(grpc.StatusCode.INTERNAL, f"the reply is malformed: {problem}")
