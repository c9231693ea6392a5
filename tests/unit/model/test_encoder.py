"""The encoder answers as PyTorch's implementation does, and padding changes nothing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from undertone_model import encoder
from undertone_model.adapters import merge
from undertone_model.batches import pad
from undertone_model.checkpoint import Arrays, Checkpoint, file_sha256, load
from undertone_model.goldens import Goldens


@pytest.fixture(scope="module")
def checkpoint(tiny: Path) -> Checkpoint:
    return load(tiny)


def answer(checkpoint: Checkpoint, ids: NDArray[np.int32], mask: NDArray[np.int32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = encoder.logits(checkpoint.weights, checkpoint.architecture, ids, mask).numpy()
    return found


def test_the_goldens_are_of_the_tiny_checkpoint_as_it_is_made_today(tiny: Path, tiny_goldens: Goldens) -> None:
    assert tiny_goldens.weights_sha256 == file_sha256(tiny / "model.safetensors"), "see goldens/reference.py"


def test_one_row_at_a_time_agrees_with_pytorch(checkpoint: Checkpoint, tiny_goldens: Goldens) -> None:
    for ids, expected in zip(tiny_goldens.input_ids, tiny_goldens.logits, strict=True):
        row = np.array([ids], np.int32)
        assert answer(checkpoint, row, np.ones_like(row))[0] == pytest.approx(expected, abs=2e-5)


def test_a_padded_batch_agrees_with_pytorch(checkpoint: Checkpoint, tiny_goldens: Goldens) -> None:
    batch = pad(tiny_goldens.input_ids, range(len(tiny_goldens.input_ids)))
    found = answer(checkpoint, batch.input_ids, batch.attention_mask)
    assert found == pytest.approx(tiny_goldens.logits, abs=2e-5)


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_padding_and_what_stands_in_it_never_change_an_answer(
    checkpoint: Checkpoint, tiny_goldens: Goldens, data: st.DataObject
) -> None:
    rows = data.draw(st.lists(st.integers(0, len(tiny_goldens.input_ids) - 1), min_size=1, max_size=4))
    batch = pad(tiny_goldens.input_ids, rows)
    room = checkpoint.architecture.max_position_embeddings - batch.input_ids.shape[1]
    more = data.draw(st.integers(0, room))
    ids, mask = (np.pad(array, ((0, 0), (0, more))) for array in (batch.input_ids, batch.attention_mask))
    rubbish = data.draw(st.integers(0, checkpoint.architecture.vocab_size - 1))
    found = answer(checkpoint, np.where(mask == 1, ids, rubbish).astype(np.int32), mask)
    assert found == pytest.approx(tiny_goldens.logits[rows], abs=2e-5)


def test_adapters_answer_the_same_merged_and_unmerged(checkpoint: Checkpoint, tiny_goldens: Goldens) -> None:
    random = np.random.default_rng(5)
    adapters: Arrays = {"classifier.bias": random.normal(0, 1, 9).astype(np.float32)}
    for name, array in checkpoint.weights.items():
        if name.startswith("encoder.") and name.endswith(".weight") and array.ndim == 2:
            layer = name.removesuffix(".weight")
            adapters[f"{layer}.lora_A"] = random.normal(0, 0.1, (8, array.shape[1])).astype(np.float32)
            adapters[f"{layer}.lora_B"] = random.normal(0, 0.1, (array.shape[0], 8)).astype(np.float32)
    batch = pad(tiny_goldens.input_ids, range(len(tiny_goldens.input_ids)))

    def probabilities(weights: Arrays) -> NDArray[np.float32]:
        logits = encoder.logits(weights, checkpoint.architecture, batch.input_ids, batch.attention_mask).numpy()
        found: NDArray[np.float32] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return found

    unmerged = probabilities(checkpoint.weights | adapters)
    assert probabilities(merge(checkpoint.weights, adapters)) == pytest.approx(unmerged, abs=1e-5)
    assert np.abs(unmerged - probabilities(checkpoint.weights)).max() > 0.05


def test_dropout_is_where_bert_has_it(checkpoint: Checkpoint, tiny_goldens: Goldens) -> None:
    calls = 0

    def count(x: encoder.Tensor) -> encoder.Tensor:
        nonlocal calls
        calls += 1
        return x

    batch = pad(tiny_goldens.input_ids, [0])
    encoder.logits(checkpoint.weights, checkpoint.architecture, batch.input_ids, batch.attention_mask, count)
    assert calls == 1 + 2 * checkpoint.architecture.num_hidden_layers + 1


def test_linear_layers_can_be_computed_otherwise(checkpoint: Checkpoint, tiny_goldens: Goldens) -> None:
    asked: list[str] = []

    def noted(weights: encoder.Weights, name: str, x: encoder.Tensor) -> encoder.Tensor:
        asked.append(name)
        return encoder.dense(weights, name, x)

    batch = pad(tiny_goldens.input_ids, [0])
    encoder.logits(checkpoint.weights, checkpoint.architecture, batch.input_ids, batch.attention_mask, linear=noted)
    matrices = {name.removesuffix(".weight") for name, array in checkpoint.weights.items() if array.ndim == 2}
    assert sorted(asked) == sorted(name for name in matrices if not name.startswith("embeddings."))
