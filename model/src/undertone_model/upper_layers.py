"""Training of the upper layers of a large encoder, whose lower layers stay as they are.

The lower layers are computed once for each text (`kept_states`). Every epoch trains the upper
layers with their output: adapters, biases and layer norms, and the head. The pairs of texts are
those of the second stage of the small model, but only some texts have a changed copy.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tokenizers import Tokenizer

from undertone_model import negation
from undertone_model.architecture import Architecture
from undertone_model.arrays import NamedArrays
from undertone_model.calibration import UNCALIBRATED
from undertone_model.data import Example
from undertone_model.kept_states import KeptStates, compute
from undertone_model.kept_steps import KeptSteps
from undertone_model.metrics import evaluate
from undertone_model.optimization import Progress, make_optimizer, optimize, split_weights
from undertone_model.text_pairs import Pair, make_pairs, pair_batches, pair_loss, pair_targets
from undertone_model.training import initial_tensors

NO_EXAMPLES: Final[Mapping[str, Sequence[Example]]] = MappingProxyType({})

SCALED_TEXTS: Final = 500
"""Number of texts that the pooler is scaled with before the training."""


@dataclass(frozen=True, slots=True)
class UpperLayers:
    """Hyperparameters. The defaults are those of the packaged adapters of the large model.

    The `layers` uppermost layers are trained, at most all. `goemotions` to `subtitles` are the mean
    numbers of views in an epoch of each example of a data set. Readings are not trained on: they
    fit the calibration for novels. `copies` is the share of the views of `text_pairs.COPIED` that
    have a changed copy. The other fields are those of the stages of the small model.
    """

    seed: int = 20211
    layers: int = 5
    rank: int = 32
    epochs: int = 3
    learning_rate: float = 4e-4
    weight_decay: float = 0.01
    warmup: float = 0.06
    dropout: float = 0.1
    label_smoothing: float = 0.1
    consistency: float = 2.0
    tokens_per_batch: int = 768
    max_tokens: int = 192
    copies: float = 0.25
    goemotions: float = 0.1
    stories: float = 1.0
    fiction: float = 1.0
    short_texts: float = 1.0
    sentences: float = 2.0
    passages: float = 0.5
    subtitles: float = 0.25
    readings: float = 0.0
    negations: int = 500

    def views(self, name: str) -> float:
        """Number of views in an epoch of each example of the data set `name`."""
        return float(getattr(self, name))


def train(
    base: Mapping[str, NDArray[np.float32]],
    architecture: Architecture,
    tokenizer: Tokenizer,
    datasets: Mapping[str, Sequence[Example]],
    recipe: UpperLayers,
    report: Callable[[Progress], None],
    checkpoint: Callable[[NamedArrays, Mapping[str, float]], None] = lambda tensors, scores: None,
    checkpoint_steps: int = 500,
    dev: Mapping[str, Sequence[Example]] = NO_EXAMPLES,
    stages: Path | None = None,
) -> NamedArrays:
    """Trains and returns the trained tensors by name.

    `checkpoint` receives the tensors after every `checkpoint_steps` steps, and the macro-F1 of each
    data set of `dev`. With the folder `stages`, the outputs of the lower layers and the state of
    the training are saved there from time to time, and a training that was ended continues.
    """
    tf.random.set_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    first_layer = max(0, architecture.num_hidden_layers - recipe.layers)
    epochs = [epoch_pairs(datasets, recipe, random) for _ in range(recipe.epochs)]
    texts = [example.text for pairs in epochs for pair in pairs for example in (pair.first, pair.second)]
    texts += [example.text for examples in dev.values() for example in examples]
    frozen, trainable = split_weights(base, upper_tensors(initial_tensors(base, recipe.rank, random), first_layer))
    frozen = {
        name: tf.cast(tensor, tf.bfloat16) if name.startswith("encoder.") and len(tensor.shape) == 2 else tensor
        for name, tensor in frozen.items()
    }
    unique = list(dict.fromkeys(texts))
    max_tokens = min(recipe.max_tokens, architecture.max_tokens)
    path = stages and stages / "lower_layers.npy"
    states = KeptStates(frozen | trainable, architecture, first_layer, tokenizer, unique, max_tokens, path=path)
    weights = {name: tensor for name, tensor in frozen.items() if is_upper(name, first_layer) or "relative" in name} | trainable
    scaled = [states.rows[unique[index]] for index in random.permutation(len(unique))[:SCALED_TEXTS].tolist()]
    for name, array in scaled_pooler(compute(states.vectors, weights, scaled)).items():
        trainable[name].assign(array)
    batches = [
        list(pair_batches(_rows(states, pairs), pair_targets(pairs, recipe.label_smoothing), recipe.tokens_per_batch, random))
        for pairs in epochs
    ]
    steps = sum(map(len, batches))
    return optimize(
        trainable,
        make_optimizer(recipe.learning_rate, recipe.weight_decay, recipe.warmup, steps, list(trainable.values())),
        batches,
        lambda rows, mask: states.logits(weights, rows, mask, lambda x: tf.nn.dropout(x, recipe.dropout)),
        lambda scores, values: pair_loss(scores, values, recipe.consistency),
        report,
        lambda tensors: checkpoint(tensors, _macro_f1(states, weights, dev)),
        checkpoint_steps,
        KeptSteps(stages / "upper_layers.npz", repr(recipe)) if stages else None,
    )


def epoch_pairs(datasets: Mapping[str, Sequence[Example]], recipe: UpperLayers, random: np.random.Generator) -> list[Pair]:
    """The pairs of one epoch: drawn and changed again for each epoch."""
    pairs = [
        pair
        for name, examples in datasets.items()
        for pair in make_pairs(name, examples, recipe.views(name), recipe.copies, random)
    ]
    rewritten = [pair for example in datasets.get("subtitles", ()) if (pair := negation.rewrite(example))]
    return pairs + negation.contrast_pairs(min(recipe.negations, len(pairs)), rewritten, random)


def scaled_pooler(vectors: NDArray[np.float32]) -> NamedArrays:
    """Weights of a pooler whose outputs have a mean of 0 and a standard deviation of nearly 0.5 for
    the texts with these `vectors` [texts, hidden].

    The vectors of a base are small, and a head with its own pooler needs many steps to grow. A
    number that is nearly the same in all texts is scaled less, because rounding to bfloat16 changes
    it.
    """
    mean = vectors.mean(axis=0)
    scale = 0.5 / np.sqrt(vectors.var(axis=0) + (mean / 8) ** 2 + 1e-6)
    return {
        "pooler.dense.weight": np.diag(scale).astype(np.float32),
        "pooler.dense.bias": (-mean * scale).astype(np.float32),
    }


def upper_tensors(tensors: NamedArrays, first_layer: int) -> NamedArrays:
    """The tensors of the head and of the layers from `first_layer`."""
    return {name: array for name, array in tensors.items() if is_upper(name, first_layer)}


def is_upper(name: str, first_layer: int) -> bool:
    """Whether a tensor belongs to the head or to one of the layers from `first_layer`."""
    if name.startswith("encoder.layer."):
        return int(name.split(".")[2]) >= first_layer
    return name.startswith(("pooler.", "classifier."))


def _rows(states: KeptStates, pairs: Sequence[Pair]) -> list[list[int]]:
    """The tokens of the first texts of the pairs, then those of the second texts."""
    return [states.rows[pair.first.text] for pair in pairs] + [states.rows[pair.second.text] for pair in pairs]


def _macro_f1(
    states: KeptStates, weights: Mapping[str, tf.Tensor], datasets: Mapping[str, Sequence[Example]]
) -> dict[str, float]:
    """The macro-F1 of each data set."""
    if not datasets:
        return {}
    rows = [states.rows[example.text] for examples in datasets.values() for example in examples]
    answers = np.split(compute(states.logits, weights, rows), np.cumsum([len(examples) for examples in datasets.values()])[:-1])
    return {
        name: evaluate(name, UNCALIBRATED.probabilities(logits), np.array([example.label for example in examples])).macro_f1
        for (name, examples), logits in zip(datasets.items(), answers, strict=True)
    }
