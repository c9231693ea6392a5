"""The second stage: pairs, views, loss, and training from adapters."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from undertone_model import later_stages, training
from undertone_model.adapters import merge_adapters
from undertone_model.arrays import NamedArrays
from undertone_model.batches import encode
from undertone_model.checkpoint import load_checkpoint
from undertone_model.data import Example
from undertone_model.emotions import EMOTIONS
from undertone_model.later_stages import LaterStage
from undertone_model.optimization import Progress

# A tiny model with random weights learns little with the usual dropout.
RECIPE = LaterStage(
    seed=5,
    epochs=30,
    learning_rate=5e-3,
    dropout=0.01,
    consistency=0.1,
    tokens_per_batch=64,
    stories=2,
    fiction=1,
    negations=0,
    label_smoothing=0,
)
VIEWS = {"stories": 2.0, "fiction": 1.0}


def example(text: str, emotion: str) -> Example:
    return Example(text, tuple(float(name == emotion) for name in EMOTIONS))


DATASETS = {
    name: tuple(
        example(f"{place} {person} {word}", emotion)
        for place in ("the sea", "the door", "the night", "the letter")
        for person in people
        for word, emotion in (("laughed", "joy"), ("wept", "sadness"))
    )
    for name, people in {"stories": ("her", "his"), "fiction": ("was", "and")}.items()
}


def start(tiny: Path) -> NamedArrays:
    return training.initial_tensors(load_checkpoint(tiny).weights, 4, np.random.default_rng(2))


@pytest.fixture(scope="module")
def trained(tiny: Path) -> tuple[NamedArrays, list[Progress], list[NamedArrays]]:
    base, reports, checkpoints = load_checkpoint(tiny), list[Progress](), list[NamedArrays]()
    tensors = later_stages.train(
        base.weights,
        base.architecture,
        base.tokenizer,
        start(tiny),
        DATASETS,
        RECIPE,
        reports.append,
        checkpoints.append,
        checkpoint_steps=20,
    )
    return tensors, reports, checkpoints


def test_the_model_learns_the_emotions(tiny: Path, trained: tuple[NamedArrays, list[Progress], list[NamedArrays]]) -> None:
    tensors, reports, checkpoints = trained
    assert [progress.step for progress in reports] == list(range(1, reports[-1].steps + 1))
    assert reports[-1].epoch == RECIPE.epochs
    assert len(checkpoints) == reports[-1].steps // 20
    assert tensors.keys() == start(tiny).keys() == checkpoints[0].keys()

    base = load_checkpoint(tiny)
    examples = [example for examples in DATASETS.values() for example in examples]
    ids = encode(base.tokenizer, [example.text for example in examples], 64)
    logits = training.predict_logits(merge_adapters(base.weights, tensors), base.architecture, ids)
    labels = np.array([example.label for example in examples])
    assert (logits.argmax(axis=1) == labels).mean() > 0.9


def test_frozen_products_in_bfloat16_are_those_of_float32_up_to_rounding(tiny: Path) -> None:
    weights = load_checkpoint(tiny).weights
    name = "encoder.layer.0.intermediate.dense"
    tensors = {key: tf.constant(array) for key, array in weights.items()} | {
        key: tf.constant(array) for key, array in start(tiny).items() if key.startswith(f"{name}.lora")
    }
    x = tf.random.normal([5, weights[f"{name}.weight"].shape[1]], seed=1)
    expected = later_stages.mixed_dense(tensors, name, x)
    rounded = tensors | {f"{name}.weight": tf.cast(tensors[f"{name}.weight"], tf.bfloat16)}
    mixed = later_stages.mixed_dense(rounded, name, x)
    assert mixed.dtype == tf.float32
    np.testing.assert_allclose(mixed, expected, atol=0.02 * float(tf.reduce_max(tf.abs(expected))))


def test_batches_have_pairs_with_equal_targets(tiny: Path) -> None:
    random = np.random.default_rng(1)
    tokenizer = load_checkpoint(tiny).tokenizer
    rows = 0
    for batch in later_stages.epoch_batches(tokenizer, DATASETS, RECIPE, random):
        half = len(batch.targets) // 2
        np.testing.assert_array_equal(batch.targets[:half], batch.targets[half:])
        assert (batch.targets[:, -1] == 1).all()
        assert batch.tokens.input_ids.size <= RECIPE.tokens_per_batch
        rows += half
    assert rows == sum(len(examples) * VIEWS[name] for name, examples in DATASETS.items())


def test_comments_and_negations_are_pairs_of_different_texts(tiny: Path) -> None:
    comments = DATASETS["stories"] * 5
    recipe = LaterStage(goemotions=1, negations=10, label_smoothing=0)
    batches = later_stages.epoch_batches(
        load_checkpoint(tiny).tokenizer, {"goemotions": comments}, recipe, np.random.default_rng(1)
    )
    targets = np.concatenate([batch.targets for batch in batches])
    assert len(targets) == len(comments) + 2 * recipe.negations
    assert not targets[:, -1].any()


def test_label_smoothing_keeps_the_sum(tiny: Path) -> None:
    recipe = LaterStage(label_smoothing=0.09, stories=1, fiction=0, negations=0)
    (batch, *_) = later_stages.epoch_batches(load_checkpoint(tiny).tokenizer, DATASETS, recipe, np.random.default_rng(1))
    shares = batch.targets[:, :-1]
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares.min(axis=1), 0.01, rtol=1e-5)


def test_result_is_the_mean_of_the_weights_before_and_after(tiny: Path) -> None:
    base, recipe = load_checkpoint(tiny), replace(RECIPE, epochs=1, dropout=0.0)
    before = start(tiny)
    after, mean = (
        later_stages.train(
            base.weights,
            base.architecture,
            base.tokenizer,
            before,
            DATASETS,
            replace(recipe, start_weight=share),
            lambda progress: None,
        )
        for share in (0.0, 0.25)
    )
    for name, array in after.items():
        np.testing.assert_allclose(mean[name], 0.25 * before[name] + 0.75 * array, atol=1e-6)
