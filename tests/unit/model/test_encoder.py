"""The encoder against golden outputs of PyTorch, with and without padding and adapters."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from undertone_model import encoder
from undertone_model.adapters import merge_adapters
from undertone_model.arrays import NamedArrays
from undertone_model.batches import pad_batch
from undertone_model.checkpoint import Checkpoint, load_checkpoint
from undertone_model.goldens import Goldens
from undertone_model.tensors import file_sha256


@pytest.fixture(scope="module")
def checkpoint(tiny: Path) -> Checkpoint:
    return load_checkpoint(tiny)


def logits_of(checkpoint: Checkpoint, ids: NDArray[np.int32], mask: NDArray[np.int32]) -> NDArray[np.float32]:
    logits: NDArray[np.float32] = encoder.logits(checkpoint.weights, checkpoint.architecture, ids, mask).numpy()
    return logits


def test_golden_outputs_belong_to_the_tiny_checkpoint(tiny: Path, tiny_goldens: Goldens) -> None:
    assert tiny_goldens.weights_sha256 == file_sha256(tiny / "model.safetensors"), "run model/make_goldens.py again"


def test_single_rows_agree_with_pytorch(checkpoint: Checkpoint, tiny_goldens: Goldens) -> None:
    for ids, expected in zip(tiny_goldens.input_ids, tiny_goldens.logits, strict=True):
        row = np.array([ids], np.int32)
        assert logits_of(checkpoint, row, np.ones_like(row))[0] == pytest.approx(expected, abs=2e-5)


def test_padded_batch_agrees_with_pytorch(checkpoint: Checkpoint, tiny_goldens: Goldens) -> None:
    batch = pad_batch(tiny_goldens.input_ids, range(len(tiny_goldens.input_ids)))
    logits = logits_of(checkpoint, batch.input_ids, batch.attention_mask)
    assert logits == pytest.approx(tiny_goldens.logits, abs=2e-5)


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_padding_and_its_token_ids_do_not_change_the_logits(
    checkpoint: Checkpoint, tiny_goldens: Goldens, data: st.DataObject
) -> None:
    rows = data.draw(st.lists(st.integers(0, len(tiny_goldens.input_ids) - 1), min_size=1, max_size=4))
    batch = pad_batch(tiny_goldens.input_ids, rows)
    max_padding = checkpoint.architecture.max_position_embeddings - batch.input_ids.shape[1]
    padding = data.draw(st.integers(0, max_padding))
    ids, mask = (np.pad(array, ((0, 0), (0, padding))) for array in (batch.input_ids, batch.attention_mask))
    padding_id = data.draw(st.integers(0, checkpoint.architecture.vocab_size - 1))
    logits = logits_of(checkpoint, np.where(mask == 1, ids, padding_id).astype(np.int32), mask)
    assert logits == pytest.approx(tiny_goldens.logits[rows], abs=2e-5)


def test_merged_and_unmerged_adapters_give_the_same_answers(checkpoint: Checkpoint, tiny_goldens: Goldens) -> None:
    random = np.random.default_rng(5)
    adapters: NamedArrays = {"classifier.bias": random.normal(0, 1, 9).astype(np.float32)}
    for name, array in checkpoint.weights.items():
        if name.startswith("encoder.") and name.endswith(".weight") and array.ndim == 2:
            layer = name.removesuffix(".weight")
            adapters[f"{layer}.lora_A"] = random.normal(0, 0.1, (8, array.shape[1])).astype(np.float32)
            adapters[f"{layer}.lora_B"] = random.normal(0, 0.1, (array.shape[0], 8)).astype(np.float32)
    batch = pad_batch(tiny_goldens.input_ids, range(len(tiny_goldens.input_ids)))

    def probabilities(weights: NamedArrays) -> NDArray[np.float32]:
        logits = encoder.logits(weights, checkpoint.architecture, batch.input_ids, batch.attention_mask).numpy()
        result: NDArray[np.float32] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return result

    unmerged = probabilities(checkpoint.weights | adapters)
    assert probabilities(merge_adapters(checkpoint.weights, adapters)) == pytest.approx(unmerged, abs=1e-5)
    assert np.abs(unmerged - probabilities(checkpoint.weights)).max() > 0.05


def test_dropout_is_applied_where_bert_applies_it(checkpoint: Checkpoint, tiny_goldens: Goldens) -> None:
    calls = 0

    def count(x: encoder.Tensor) -> encoder.Tensor:
        nonlocal calls
        calls += 1
        return x

    batch = pad_batch(tiny_goldens.input_ids, [0])
    encoder.logits(checkpoint.weights, checkpoint.architecture, batch.input_ids, batch.attention_mask, count)
    assert calls == 1 + 2 * checkpoint.architecture.num_hidden_layers + 1


def test_linear_layers_can_be_replaced(checkpoint: Checkpoint, tiny_goldens: Goldens) -> None:
    names: list[str] = []

    def record(weights: encoder.Weights, name: str, x: encoder.Tensor) -> encoder.Tensor:
        names.append(name)
        return encoder.dense(weights, name, x)

    batch = pad_batch(tiny_goldens.input_ids, [0])
    encoder.logits(checkpoint.weights, checkpoint.architecture, batch.input_ids, batch.attention_mask, linear=record)
    matrices = {name.removesuffix(".weight") for name, array in checkpoint.weights.items() if array.ndim == 2}
    assert sorted(names) == sorted(name for name in matrices if not name.startswith("embeddings."))
