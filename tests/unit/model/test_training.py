"""Training learns, and the same seed learns the same."""

from pathlib import Path

import numpy as np
import pytest
from undertone_model import training
from undertone_model.adapters import merge
from undertone_model.batches import encode
from undertone_model.checkpoint import Arrays, load
from undertone_model.data import Example
from undertone_model.emotions import EMOTIONS
from undertone_model.training import Progress, Recipe

# So small a model of random weights learns little through the usual dropout; some of it stays, for the seed to rule.
RECIPE = Recipe(
    seed=5, epochs=24, rank=4, learning_rate=3e-3, dropout=0.01, neutral_share=1.0, stories_repeat=2, tokens_per_batch=64
)


def example(text: str, emotion: str) -> Example:
    return Example(text, tuple(float(name == emotion) for name in EMOTIONS))


@pytest.fixture(scope="module")
def examples() -> tuple[Example, ...]:
    """Forty texts of two emotions that one word tells apart."""
    places = ("the sea", "the door", "the night", "the letter", "bread and rain")
    people = ("her", "his", "was", "and")
    return tuple(
        example(f"{place} {person} {word}", emotion)
        for place in places
        for person in people
        for word, emotion in (("laughed", "joy"), ("wept", "sadness"))
    )


def learn(tiny: Path, examples: tuple[Example, ...], recipe: Recipe) -> tuple[Arrays, list[Progress]]:
    base, seen = load(tiny), list[Progress]()
    learnt = training.train(base.weights, base.architecture, base.tokenizer, examples[:30], examples[30:], recipe, seen.append)
    return learnt, seen


@pytest.fixture(scope="module")
def learnt(tiny: Path, examples: tuple[Example, ...]) -> tuple[Arrays, list[Progress]]:
    return learn(tiny, examples, RECIPE)


def test_loss_falls_and_progress_is_told(learnt: tuple[Arrays, list[Progress]]) -> None:
    seen = learnt[1]
    assert [progress.step for progress in seen] == list(range(1, len(seen) + 1))
    assert {progress.steps for progress in seen} == {len(seen)}
    assert seen[-1].epoch == RECIPE.epochs
    assert seen[-1].loss < seen[0].loss / 2


def test_what_was_learnt_tells_the_emotions_apart(
    tiny: Path, examples: tuple[Example, ...], learnt: tuple[Arrays, list[Progress]]
) -> None:
    base = load(tiny)
    ids = encode(base.tokenizer, [example.text for example in examples], 64)
    logits = training.predict(merge(base.weights, learnt[0]), base.architecture, ids, budget=64)
    labels = np.array([example.label for example in examples])
    assert (logits.argmax(axis=1) == labels).mean() > 0.95


def test_only_what_is_small_is_trained(tiny: Path, learnt: tuple[Arrays, list[Progress]]) -> None:
    base = load(tiny).weights
    trained = set(learnt[0])
    assert {name for name in trained if name.endswith(".lora_A")} == {
        f"encoder.layer.{layer}.{part}.lora_A"
        for layer in (0, 1)
        for part in (
            *(f"attention.self.{name}" for name in ("query", "key", "value")),
            *("attention.output.dense", "intermediate.dense", "output.dense"),
        )
    }
    assert not any(name.startswith("embeddings.") and "LayerNorm" not in name for name in trained)
    assert trained >= {name for name in base if name.endswith(".bias")} | {"pooler.dense.weight", "classifier.weight"}


def test_the_same_seed_learns_the_same(
    tiny: Path, examples: tuple[Example, ...], learnt: tuple[Arrays, list[Progress]]
) -> None:
    again, _ = learn(tiny, examples, RECIPE)
    assert {name: pytest.approx(array, abs=1e-5) for name, array in again.items()} == learnt[0]


def test_an_epoch_sees_stories_again_and_fewer_neutral_comments() -> None:
    comments = (example("a", "joy"), *(example("b", "neutral") for _ in range(1000)))
    stories = (example("c", "neutral"), example("d", "fear"))
    recipe = Recipe(neutral_share=0.3, stories_repeat=3)
    rows = training._rows(comments, stories, recipe, np.random.default_rng(0))
    counts = np.bincount(rows, minlength=1003)
    assert counts[0] == 1
    assert counts[1:1001].sum() == pytest.approx(300, abs=50)
    assert counts[1:1001].max() == 1
    assert counts[1001:].tolist() == [3, 3]


def test_the_rate_climbs_to_its_peak_and_falls_to_zero() -> None:
    schedule = training._Schedule(peak=2.0, steps=100, warmup=0.1)
    rates = [float(schedule(step)) for step in range(101)]
    assert max(rates) == rates[10] == 2.0
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == 0
