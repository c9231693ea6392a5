"""Responses of the gRPC service, from the answer of the pipeline."""

import time
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from google.rpc import status_pb2
from undertone_protos.v1 import classifier_pb2

from undertone_sidecar.answers import Answer, Classified
from undertone_sidecar.contract import Contract
from undertone_sidecar.errors import status_of


def classify_response(
    identifier: str, answer: Answer, classified: Classified, *, started: float
) -> classifier_pb2.ClassifyResponse:
    """The response to Classify. `started` is the start of the call by time.monotonic."""
    contract = answer.model.contract
    labels = contract.labels
    response = classifier_pb2.ClassifyResponse(
        id=identifier,
        label=labels[int(classified.probabilities.argmax())],
        labels=labels,
        probabilities=classified.probabilities.tolist(),
        tokens=classified.tokens,
        truncated=classified.truncated,
        chunks=classified.chunks,
        timings=_timings(answer, started),
        model=_model_info(contract),
        problem_type=contract.problem_type,
        flags=classified.flags,
    )
    if contract.is_multi_label:
        (indexes,) = _label_indexes_above_threshold(contract, classified.probabilities[np.newaxis])
        response.labels_above_threshold.extend(labels[index] for index in indexes)
    return response


def batch_response(identifiers: Sequence[str], answer: Answer, *, started: float) -> classifier_pb2.ClassifyBatchResponse:
    """The response to ClassifyBatch. There is an id for each outcome of the answer.

    `started` is the start of the call by time.monotonic.
    """
    contract = answer.model.contract
    response = classifier_pb2.ClassifyBatchResponse(
        labels=contract.labels, model=_model_info(contract), problem_type=contract.problem_type
    )
    classified = []
    for identifier, outcome in zip(identifiers, answer.outcomes, strict=True):
        result = response.results.add(id=identifier)
        if isinstance(outcome, Classified):
            classified.append((result.classification, outcome))
        else:
            status = status_of(outcome)
            result.error.CopyFrom(status_pb2.Status(code=status.code.value[0], message=status.message))
    if classified:
        _fill(contract, classified)
    response.timings.CopyFrom(_timings(answer, started))
    return response


def _fill(contract: Contract, classified: Sequence[tuple[classifier_pb2.Classification, Classified]]) -> None:
    """Fills the classifications of a batch from the outcomes."""
    labels = contract.labels
    probabilities = np.array([outcome.probabilities for _, outcome in classified])
    label_indexes, rows = probabilities.argmax(axis=1).tolist(), probabilities.tolist()
    for (classification, outcome), label_index, row in zip(classified, label_indexes, rows, strict=True):
        classification.label_index = label_index
        classification.label = labels[label_index]
        classification.probabilities.extend(row)
        classification.tokens = outcome.tokens
        classification.truncated = outcome.truncated
        classification.chunks = outcome.chunks
        classification.flags.extend(outcome.flags)
    if contract.is_multi_label:
        above = _label_indexes_above_threshold(contract, probabilities)
        for (classification, _), indexes in zip(classified, above, strict=True):
            classification.label_indexes_above_threshold.extend(indexes)


def _label_indexes_above_threshold(contract: Contract, probabilities: npt.NDArray[np.float32]) -> list[list[int]]:
    """Indexes of the labels that each paragraph has, ascending. See Contract.above_threshold."""
    above = contract.above_threshold(probabilities)
    indexes: list[int] = above.nonzero()[1].tolist()
    stops: list[int] = above.sum(axis=1).cumsum().tolist()
    return [indexes[start:stop] for start, stop in pairwise([0, *stops])]


def _model_info(contract: Contract) -> classifier_pb2.ModelInfo:
    return classifier_pb2.ModelInfo(name=contract.name, version=contract.version, precision=contract.precision)


def _timings(answer: Answer, started: float) -> classifier_pb2.Timings:
    return classifier_pb2.Timings(
        tokenize_seconds=answer.stages.tokenize,
        queue_seconds=answer.stages.queue,
        predict_seconds=answer.stages.predict,
        total_seconds=time.monotonic() - started,
    )
