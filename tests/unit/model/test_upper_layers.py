"""The large model: kept outputs of the lower layers, and training of the upper layers."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file
from undertone_model import encoder, training, upper_layers
from undertone_model.adapters import merge_adapters
from undertone_model.arrays import NamedArrays
from undertone_model.batches import encode, pad_batch
from undertone_model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from undertone_model.data import Example
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import CheckpointError
from undertone_model.kept_states import KeptStates, compute
from undertone_model.optimization import Progress
from undertone_model.testing import golden_checkpoint
from undertone_model.upper_layers import UpperLayers

FAMILIES = Path(__file__).parent / "goldens" / "families"

RECIPE = UpperLayers(
    seed=5,
    layers=1,
    rank=4,
    epochs=12,
    learning_rate=1e-2,
    dropout=0.01,
    label_smoothing=0,
    consistency=0.1,
    tokens_per_batch=128,
    copies=0.5,
    goemotions=0.5,
    negations=0,
)


def example(text: str, emotion: str) -> Example:
    return Example(text, tuple(float(name == emotion) for name in EMOTIONS))


EXAMPLES = tuple(
    example(f"{place} {person} {word}", emotion)
    for place in ("the sea", "the door", "the night", "the letter")
    for person in ("her", "his", "was", "and")
    for word, emotion in (("laughed", "joy"), ("wept", "sadness"))
)
DATASETS = {"stories": EXAMPLES, "goemotions": EXAMPLES}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny MPNet without a classifier, as sentence-transformers publish it: with a pooler."""
    record = json.loads((FAMILIES / "mpnet.json").read_text())
    folder = golden_checkpoint(tmp_path_factory.mktemp("mpnet"), record)
    tensors = load_file(folder / "model.safetensors")
    encoder_tensors = {name.removeprefix("mpnet."): array for name, array in tensors.items() if name.startswith("mpnet.")}
    encoder_tensors |= {f"pooler.dense.{part}": tensors[f"classifier.dense.{part}"] for part in ("weight", "bias")}
    save_file(encoder_tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def mpnet(base: Path) -> Checkpoint:
    return load_checkpoint(base)


@pytest.mark.parametrize("family", ["bert", "mpnet", "modernbert-mean", "deberta-v2-convolution"])
def test_lower_and_upper_layers_are_the_whole_encoder(family: str, tmp_path: Path) -> None:
    record = json.loads((FAMILIES / f"{family}.json").read_text())
    model = load_checkpoint(golden_checkpoint(tmp_path, record))
    batch = pad_batch(record["input_ids"], [1, 3, 4])
    expected = encoder.logits(model.weights, model.architecture, batch.input_ids, batch.attention_mask)
    for layers in range(model.architecture.num_hidden_layers):
        hidden = encoder.lower_states(model.weights, model.architecture, layers, batch.input_ids, batch.attention_mask)
        logits = encoder.upper_logits(model.weights, model.architecture, layers, hidden, batch.attention_mask)
        np.testing.assert_allclose(logits, expected, atol=1e-5)


TEXTS = ("the sea", "her", "the letter was his and the night", "the door laughed")


@pytest.fixture(scope="module")
def kept(mpnet: Checkpoint) -> KeptStates:
    """The outputs of the first of two layers for TEXTS."""
    weights = {name: tf.constant(array) for name, array in mpnet.weights.items()}
    return KeptStates(weights, mpnet.architecture, 1, mpnet.tokenizer, TEXTS, 64, max_padded_tokens=12)


def test_kept_states_are_those_of_each_text_alone(mpnet: Checkpoint, kept: KeptStates) -> None:
    assert sorted(number for text in TEXTS for number in kept.rows[text]) == list(range(sum(map(len, kept.rows.values()))))
    for text, ids in zip(TEXTS, encode(mpnet.tokenizer, TEXTS, 64), strict=True):
        alone = encoder.lower_states(
            mpnet.weights, mpnet.architecture, 1, np.array([ids], np.int32), np.ones((1, len(ids)), np.int32)
        )
        np.testing.assert_allclose(kept.hidden(np.array([kept.rows[text]])), alone, atol=4e-3)


def test_scaled_pooler_has_outputs_of_equal_size(mpnet: Checkpoint, kept: KeptStates) -> None:
    weights = {name: tf.constant(array) for name, array in mpnet.weights.items()}
    vectors = compute(kept.vectors, weights, [kept.rows[text] for text in TEXTS])
    for text, vector in zip(TEXTS, vectors, strict=True):
        alone = compute(kept.vectors, weights, [kept.rows[text]])
        np.testing.assert_allclose(alone[0], vector, atol=1e-5)

    random = np.random.default_rng(1)
    vectors = random.normal([0, 0.2, 5], [0.1, 0.3, 0.01], (400, 3)).astype(np.float32)
    pooler = upper_layers.scaled_pooler(vectors)
    outputs = vectors @ pooler["pooler.dense.weight"].T + pooler["pooler.dense.bias"]
    np.testing.assert_allclose(outputs.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(outputs[:, :2].std(axis=0), 0.5, rtol=0.01)
    # Rounding to bfloat16 moves 5 by up to 0.01, as much as the deviation of the last number.
    assert outputs[:, 2].std() < 0.02


def test_every_epoch_has_other_copies_and_negations(mpnet: Checkpoint) -> None:
    recipe = replace(RECIPE, negations=8)
    random = np.random.default_rng(1)
    epochs = [upper_layers.epoch_pairs(DATASETS, recipe, random) for _ in range(2)]
    for pairs in epochs:
        assert len(pairs) == 24 + 8 + 8
        assert sum(pair.copies for pair in pairs) == 16
    assert epochs[0][-8:] != epochs[1][-8:]


def test_a_base_without_a_classifier_has_the_pooler_of_a_bert_model(base: Path, mpnet: Checkpoint, tmp_path: Path) -> None:
    assert mpnet.labels == ()
    np.testing.assert_array_equal(
        mpnet.weights["pooler.dense.weight"], load_file(base / "model.safetensors")["pooler.dense.weight"]
    )
    # A classifier without its own hidden layer is incomplete, even with the pooler.
    folder = golden_checkpoint(tmp_path, json.loads((FAMILIES / "mpnet.json").read_text()))
    tensors = load_file(folder / "model.safetensors")
    for part in ("weight", "bias"):
        tensors[f"mpnet.pooler.dense.{part}"] = tensors.pop(f"classifier.dense.{part}")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"has no tensor classifier\.dense"):
        load_checkpoint(folder)


def test_a_merged_mpnet_is_written_as_a_checkpoint(mpnet: Checkpoint, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    head = {"classifier.weight": random.normal(size=(9, 24)).astype(np.float32), "classifier.bias": np.zeros(9, np.float32)}
    merged = replace(mpnet, weights=mpnet.weights | head, labels=EMOTIONS, problem_type="single-label")
    save_checkpoint(tmp_path / "merged", merged)
    loaded = load_checkpoint(tmp_path / "merged", classifier=True)
    assert (loaded.architecture, loaded.labels) == (mpnet.architecture, EMOTIONS)
    assert loaded.weights.keys() == merged.weights.keys()
    assert all((loaded.weights[name] == array).all() for name, array in merged.weights.items())


Trained: TypeAlias = tuple[NamedArrays, list[Progress], list[Mapping[str, float]]]


@pytest.fixture(scope="module")
def trained(mpnet: Checkpoint) -> Trained:
    reports, scores = list[Progress](), list[Mapping[str, float]]()
    tensors = upper_layers.train(
        mpnet.weights,
        mpnet.architecture,
        mpnet.tokenizer,
        DATASETS,
        RECIPE,
        reports.append,
        lambda tensors, dev: scores.append(dev),
        checkpoint_steps=20,
        dev={"stories": EXAMPLES},
    )
    return tensors, reports, scores


def test_the_upper_layers_learn_the_emotions(mpnet: Checkpoint, trained: Trained) -> None:
    tensors, reports, scores = trained
    assert [progress.step for progress in reports] == list(range(1, reports[-1].steps + 1))
    assert len(scores) == reports[-1].steps // 20
    assert scores[-1]["stories"] > 0.8
    ids = encode(mpnet.tokenizer, [example.text for example in EXAMPLES], 64)
    logits = training.predict_logits(merge_adapters(mpnet.weights, tensors), mpnet.architecture, ids)
    labels = np.array([example.label for example in EXAMPLES])
    assert (logits.argmax(axis=1) == labels).mean() > 0.9


class EndedError(Exception):
    """Stands for the end of the process."""


def test_a_training_that_was_ended_continues(mpnet: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = list[int]()
    lower_states = encoder.lower_states

    def counted(*arguments: Any, **options: Any) -> tf.Tensor:
        computed.append(1)
        return lower_states(*arguments, **options)

    monkeypatch.setattr(encoder, "lower_states", counted)
    recipe = replace(RECIPE, epochs=4, dropout=0.0)

    def run(stages: Path | None, end: int | None) -> tuple[NamedArrays, list[int]]:
        steps = list[int]()

        def report(progress: Progress) -> None:
            steps.append(progress.step)
            if progress.step == end:
                raise EndedError

        model = (mpnet.weights, mpnet.architecture, mpnet.tokenizer, DATASETS, recipe, report)
        try:
            return upper_layers.train(*model, checkpoint_steps=5, stages=stages), steps
        except EndedError:
            return {}, steps

    expected, whole = run(None, None)
    stages = tmp_path / "stages"
    _, before = run(stages, 8)
    assert before == list(range(1, 9))
    computed.clear()
    trained, after = run(stages, None)
    assert after == list(range(6, whole[-1] + 1))
    # The outputs of the lower layers are in a file.
    assert not computed
    for name, array in expected.items():
        np.testing.assert_allclose(trained[name], array, atol=1e-5)


def test_only_the_upper_layers_and_the_head_are_trained(mpnet: Checkpoint, trained: Trained) -> None:
    layers = {name.split(".")[2] for name in trained[0] if name.startswith("encoder.")}
    others = {name for name in trained[0] if not name.startswith("encoder.layer.")}
    assert layers == {"1"}
    assert others == {f"{part}.{value}" for part in ("pooler.dense", "classifier") for value in ("weight", "bias")}
    changed = [name for name, array in trained[0].items() if name in mpnet.weights and (array != mpnet.weights[name]).any()]
    assert "encoder.layer.1.output.LayerNorm.weight" in changed
