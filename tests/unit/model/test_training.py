"""Training: loss, trained tensors and determinism."""

from pathlib import Path

import numpy as np
import pytest
from undertone_model import training
from undertone_model.adapters import merge_adapters
from undertone_model.arrays import NamedArrays
from undertone_model.batches import encode
from undertone_model.checkpoint import load_checkpoint
from undertone_model.data import Example
from undertone_model.emotions import EMOTIONS
from undertone_model.optimization import Progress
from undertone_model.training import Recipe

# A tiny model with random weights learns little with the usual dropout. Some dropout is kept,
# because the seed must determine it.
RECIPE = Recipe(
    seed=5, epochs=24, rank=4, learning_rate=3e-3, dropout=0.01, neutral_share=1.0, stories_repeat=2, tokens_per_batch=64
)


def example(text: str, emotion: str) -> Example:
    return Example(text, tuple(float(name == emotion) for name in EMOTIONS))


@pytest.fixture(scope="module")
def examples() -> tuple[Example, ...]:
    """Forty texts with two emotions. One word determines the emotion."""
    places = ("the sea", "the door", "the night", "the letter", "bread and rain")
    people = ("her", "his", "was", "and")
    return tuple(
        example(f"{place} {person} {word}", emotion)
        for place in places
        for person in people
        for word, emotion in (("laughed", "joy"), ("wept", "sadness"))
    )


def train(tiny: Path, examples: tuple[Example, ...], recipe: Recipe) -> tuple[NamedArrays, list[Progress]]:
    base, reports = load_checkpoint(tiny), list[Progress]()
    tensors = training.train(
        base.weights, base.architecture, base.tokenizer, examples[:30], examples[30:], recipe, reports.append
    )
    return tensors, reports


@pytest.fixture(scope="module")
def trained(tiny: Path, examples: tuple[Example, ...]) -> tuple[NamedArrays, list[Progress]]:
    return train(tiny, examples, RECIPE)


def test_loss_decreases_and_progress_is_reported(trained: tuple[NamedArrays, list[Progress]]) -> None:
    reports = trained[1]
    assert [progress.step for progress in reports] == list(range(1, len(reports) + 1))
    assert {progress.steps for progress in reports} == {len(reports)}
    assert reports[-1].epoch == RECIPE.epochs
    assert reports[-1].loss < reports[0].loss / 2


def test_trained_model_classifies_the_examples(
    tiny: Path, examples: tuple[Example, ...], trained: tuple[NamedArrays, list[Progress]]
) -> None:
    base = load_checkpoint(tiny)
    ids = encode(base.tokenizer, [example.text for example in examples], 64)
    logits = training.predict_logits(merge_adapters(base.weights, trained[0]), base.architecture, ids, max_padded_tokens=64)
    labels = np.array([example.label for example in examples])
    assert (logits.argmax(axis=1) == labels).mean() > 0.95


def test_embeddings_and_matrices_of_the_encoder_are_not_trained(
    tiny: Path, trained: tuple[NamedArrays, list[Progress]]
) -> None:
    base = load_checkpoint(tiny).weights
    names = set(trained[0])
    assert {name for name in names if name.endswith(".lora_A")} == {
        f"encoder.layer.{layer}.{part}.lora_A"
        for layer in (0, 1)
        for part in (
            *(f"attention.self.{name}" for name in ("query", "key", "value")),
            *("attention.output.dense", "intermediate.dense", "output.dense"),
        )
    }
    assert not any(name.startswith("embeddings.") and "LayerNorm" not in name for name in names)
    assert names >= {name for name in base if name.endswith(".bias")} | {"pooler.dense.weight", "classifier.weight"}


def test_training_is_deterministic(
    tiny: Path, examples: tuple[Example, ...], trained: tuple[NamedArrays, list[Progress]]
) -> None:
    again, _ = train(tiny, examples, RECIPE)
    assert {name: pytest.approx(array, abs=1e-5) for name, array in again.items()} == trained[0]


def test_epoch_repeats_stories_and_omits_neutral_comments() -> None:
    comments = (example("a", "joy"), *(example("b", "neutral") for _ in range(1000)))
    stories = (example("c", "neutral"), example("d", "fear"))
    recipe = Recipe(neutral_share=0.3, stories_repeat=3)
    rows = training._epoch_rows(comments, stories, recipe, np.random.default_rng(0))
    counts = np.bincount(rows, minlength=1003)
    assert counts[0] == 1
    assert counts[1:1001].sum() == pytest.approx(300, abs=50)
    assert counts[1:1001].max() == 1
    assert counts[1001:].tolist() == [3, 3]
