"""Each family, as a checkpoint and as a graph, against golden outputs of the original.

Each file in goldens/families is a small model. model/make_goldens.py completes it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from undertone_model import encoder
from undertone_model.batches import TokenBatch, pad_batch
from undertone_model.families import FAMILIES
from undertone_model.labels import probabilities
from undertone_model.serving import ServingGraph, calibrated_weights
from undertone_model.sources import Source, from_checkpoint
from undertone_model.testing import golden_checkpoint

FILES = sorted((Path(__file__).parent / "goldens" / "families").glob("*.json"))
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Model:
    """A small model with its golden outputs. `logits` is [rows, labels]."""

    record: dict[str, Any]
    source: Source
    logits: NDArray[np.float64]

    def logits_of(self, batch: TokenBatch) -> NDArray[np.float32]:
        checkpoint = self.source.checkpoint
        answers = encoder.logits(checkpoint.weights, checkpoint.architecture, batch.input_ids, batch.attention_mask)
        return np.asarray(answers)


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    record = json.loads(request.param.read_text())
    source = from_checkpoint(golden_checkpoint(tmp_path_factory.mktemp(request.param.stem), record))
    return Model(record, source, np.array(record["logits"]))


def test_every_family_has_golden_outputs() -> None:
    assert {json.loads(path.read_text())["config"]["model_type"] for path in FILES} == set(FAMILIES)


def test_golden_rows_differ_and_include_one_token_and_the_maximum(model: Model) -> None:
    lengths = [len(row) for row in model.record["input_ids"]]
    assert (min(lengths), max(lengths)) == (1, model.record["max_tokens"])
    assert model.source.checkpoint.architecture.max_tokens == model.record["max_tokens"]
    assert np.ptp(model.logits, axis=0).min() > 0.05


def test_single_rows_agree_with_the_original(model: Model) -> None:
    for row, expected in enumerate(model.logits):
        answer = model.logits_of(pad_batch(model.record["input_ids"], [row]))[0]
        assert answer == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("padding_id", [0, 1, 2])
def test_padded_rows_agree_with_the_original(model: Model, padding_id: int) -> None:
    batch = pad_batch(model.record["input_ids"], range(len(model.logits)))
    ids = np.where(batch.attention_mask == 1, batch.input_ids, padding_id).astype(np.int32)
    assert model.logits_of(TokenBatch(batch.rows, ids, batch.attention_mask)) == pytest.approx(model.logits, abs=TOLERANCE)


def test_serving_graph_agrees_with_the_original(model: Model) -> None:
    graph = ServingGraph(calibrated_weights(model.source), model.source.checkpoint.architecture)
    batch = pad_batch(model.record["input_ids"], range(len(model.logits)))
    answers = graph(batch.input_ids, batch.attention_mask).numpy()
    assert answers == pytest.approx(probabilities(model.logits, "single-label"), abs=TOLERANCE)
