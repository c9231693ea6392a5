"""Replies of a multi-label model over a real socket."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from undertone_protos.v1 import classifier_pb2, contract_pb2
from undertone_sidecar.testing import running_pod, write_version

LABELS = ("joy", "fear", "anger", "love")
TEXTS = ("rain", "the door was open", "home at last", "dark", "she laughed", "the rain had stopped " * 20)
MULTI_LABEL = contract_pb2.PROBLEM_TYPE_MULTI_LABEL


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "emotions"
    write_version(folder, 1, labels=LABELS, thresholds=(0.5, 0.1, 0.9, 0.3))
    return folder


def labels_above(contract: contract_pb2.ModelContract, probabilities: Sequence[float]) -> list[str]:
    """The labels of a paragraph, as a caller computes them from GetModel and the probabilities."""
    columns = zip(contract.labels, probabilities, contract.thresholds, strict=True)
    return [label for label, probability, threshold in columns if probability >= threshold]


async def test_replies_name_the_labels_whose_probability_reaches_their_threshold(base: Path) -> None:
    async with running_pod(base, labels=4, multi_label=True) as pod:
        contract = (await pod.stub.GetModel(classifier_pb2.GetModelRequest())).contract
        assert (contract.problem_type, list(contract.thresholds)) == (MULTI_LABEL, [0.5, 0.1, 0.9, 0.3])
        paragraphs = [classifier_pb2.Paragraph(text=text) for text in TEXTS]
        batch = await pod.stub.ClassifyBatch(
            classifier_pb2.ClassifyBatchRequest(paragraphs=[*paragraphs, classifier_pb2.Paragraph()])
        )
        assert batch.problem_type == MULTI_LABEL
        assert batch.results[-1].HasField("error")
        seen, counts = set(), Counter[str]()
        for text, result in zip(TEXTS, batch.results[:-1], strict=True):
            alone = await pod.stub.Classify(classifier_pb2.ClassifyRequest(text=text))
            assert alone.problem_type == MULTI_LABEL
            assert alone.label == LABELS[max(range(4), key=alone.probabilities.__getitem__)]
            assert list(alone.labels_above_threshold) == labels_above(contract, alone.probabilities)
            classification = result.classification
            assert list(classification.probabilities) == pytest.approx(list(alone.probabilities), abs=1e-6)
            above = [batch.labels[index] for index in classification.label_indexes_above_threshold]
            assert above == labels_above(contract, classification.probabilities)
            assert batch.labels[classification.label_index] == classification.label == alone.label
            seen.add(tuple(above))
            counts.update(above * 2)
        # Each text was scored twice: alone, and in the batch.
        for label, count in counts.items():
            await pod.wait_metric(f'undertone_labels_total{{label="{label}",version="1"}}', count)
    assert len(seen) > 2  # If all sets were equal, the test would show nothing.


async def test_the_probability_that_equals_the_threshold_reaches_it(base: Path) -> None:
    # 0.3 in float32 is larger than the threshold 0.3, and 0.9 in float32 is smaller than 0.9.
    async with running_pod(base, labels=4, multi_label=True) as pod:
        pod.serving.changes = lambda scores: np.full_like(scores, [0.5, 0.0999999, 0.9, 0.3])
        response = await pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain"))
        assert list(response.labels_above_threshold) == ["joy", "love"]
        contract = (await pod.stub.GetModel(classifier_pb2.GetModelRequest())).contract
        assert list(response.labels_above_threshold) == labels_above(contract, response.probabilities)


async def test_a_paragraph_can_have_no_label(base: Path) -> None:
    async with running_pod(base, labels=4, multi_label=True) as pod:
        pod.serving.changes = lambda scores: np.full_like(scores, [0.01, 0.02, 0.03, 0.04])
        response = await pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain"))
        assert (response.label, list(response.labels_above_threshold)) == ("love", [])


async def test_a_multi_label_model_can_have_one_label(tmp_path: Path) -> None:
    base = tmp_path / "toxic"
    write_version(base, 1, labels=("toxic",), thresholds=(0.5,))
    async with running_pod(base, labels=1, multi_label=True) as pod:
        pod.serving.changes = lambda scores: np.full_like(scores, 0.75)
        response = await pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain"))
        assert (response.label, list(response.labels_above_threshold), list(response.probabilities)) == (
            "toxic",
            ["toxic"],
            [0.75],
        )
