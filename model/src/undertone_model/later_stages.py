"""The later stages of training: adapters that stage 1 trained learn from several kinds of fiction.

Every batch has pairs. Most are a text and a changed copy (`augmentation`) with the same target; the
divergence of the two answers is part of the loss, so that names, punctuation and typos do not move
a label. Others are an emotion and its negation (`negation`), or two short texts. Matrix products
with frozen weights are computed in bfloat16.

The third stage also has passages of novels with the shares that readers gave them (`readings`),
and texts without labels, with the answers of a teacher as targets (`soft_labels`; Hinton et al.,
2015). Its result is averaged with that of the second stage.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tokenizers import Tokenizer

from undertone_model import encoder, negation
from undertone_model.architecture import Architecture
from undertone_model.arrays import NamedArrays
from undertone_model.augmentation import augment, swap_all_names
from undertone_model.batches import encode
from undertone_model.data import Example
from undertone_model.kept_steps import KeptSteps
from undertone_model.optimization import Progress, TrainingBatch, make_optimizer, optimize, split_weights
from undertone_model.text_pairs import Pair, draw, label_weights, pair_batches, pair_loss, pair_targets

UNPAIRED: Final = ("goemotions", "subtitles")
"""Data sets of many short texts, whose texts have no copy."""

NAMES_SHARE: Final = 0.5
"""Share of the pairs whose first text has other names, too."""


@dataclass(frozen=True, slots=True)
class LaterStage:
    """Hyperparameters. The defaults are those of the second stage of the packaged adapters.

    `goemotions` to `readings` are the mean numbers of views in an epoch of each example of a
    data set: 1.5 means that half of the examples occur twice. The examples are drawn again for each
    epoch, and changed again; rare emotions are drawn more often from the data sets in UNPAIRED.
    The shares of `soft_labels` are the answers of a teacher. `negations` is the number of pairs of
    an emotion and its negation in an epoch (`negation`), at most as many as the other pairs.

    `consistency` is the weight of the divergence in the loss. `retention` is the share of the
    answers of the first stage in the targets of GoEmotions (learning without forgetting, Li and
    Hoiem, 2016). `start_share` is the share of the answers of the stage before in the targets of
    `soft_labels`: on the dev splits, the mean of the teacher and that stage is better than each.
    `tokens_per_batch` includes padding. The result is the mean of the weights before the stage
    (with the share `start_weight`) and after it (Wortsman et al., 2022). The other fields are those
    of the first stage.
    """

    seed: int = 20211
    epochs: int = 4
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.06
    dropout: float = 0.1
    label_smoothing: float = 0.1
    consistency: float = 2.0
    tokens_per_batch: int = 1024
    max_tokens: int = 192
    goemotions: float = 0.35
    stories: float = 0.6
    fiction: float = 0.9
    short_texts: float = 1.5
    sentences: float = 2.0
    passages: float = 0.5
    subtitles: float = 0.4
    soft_labels: float = 0.0
    readings: float = 0.0
    negations: int = 2000
    retention: float = 0.7
    start_share: float = 0.3
    start_weight: float = 0.0

    def views(self, name: str) -> float:
        """Mean number of views in an epoch of each example of the data set `name`."""
        return float(getattr(self, name))


THIRD_STAGE: Final = LaterStage(
    epochs=1,
    learning_rate=3e-4,
    label_smoothing=0.05,
    consistency=3.0,
    goemotions=0.5,
    stories=0.4,
    fiction=0.5,
    short_texts=1.0,
    sentences=2.0,
    passages=0.0,
    subtitles=0.3,
    soft_labels=0.5,
    readings=1.0,
    negations=1000,
    retention=0.8,
    start_weight=0.5,
)
"""Hyperparameters of the third stage. The packaged adapters were trained without soft labels.

`passages` is 0 because the passages of REMAN have readings.
"""


def train(
    base: Mapping[str, NDArray[np.float32]],
    architecture: Architecture,
    tokenizer: Tokenizer,
    start: Mapping[str, NDArray[np.float32]],
    datasets: Mapping[str, Sequence[Example]],
    recipe: LaterStage,
    report: Callable[[Progress], None],
    checkpoint: Callable[[NamedArrays], None] = lambda tensors: None,
    checkpoint_steps: int = 500,
    kept: KeptSteps | None = None,
) -> NamedArrays:
    """Continues the training of the tensors `start`. Returns them by name, averaged with `start`.

    `checkpoint` receives the tensors after every `checkpoint_steps` steps. `kept` is that of
    `optimize`.
    """
    tf.random.set_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    recipe = replace(recipe, max_tokens=min(recipe.max_tokens, architecture.max_tokens))
    epochs = [list(epoch_batches(tokenizer, datasets, recipe, random)) for _ in range(recipe.epochs)]
    steps = sum(len(batches) for batches in epochs)
    frozen, trainable = split_weights(base, start)
    frozen = {name: tf.cast(tensor, tf.bfloat16) if name.startswith("encoder.") else tensor for name, tensor in frozen.items()}

    def logits(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        return encoder.logits(
            frozen | trainable,
            architecture,
            input_ids,
            attention_mask,
            lambda x: tf.nn.dropout(x, recipe.dropout),
            linear=mixed_dense,
        )

    trained = optimize(
        trainable,
        make_optimizer(recipe.learning_rate, recipe.weight_decay, recipe.warmup, steps, list(trainable.values())),
        epochs,
        logits,
        lambda scores, target: pair_loss(scores, target, recipe.consistency),
        report,
        checkpoint,
        checkpoint_steps,
        kept,
    )
    share = np.float32(recipe.start_weight)
    return {name: share * start[name] + (1 - share) * array for name, array in trained.items()}


def mixed_dense(weights: Mapping[str, tf.Tensor], name: str, x: tf.Tensor) -> tf.Tensor:
    """Linear layer from x [rows, in] to [rows, out] in float32, whose products are in the dtype of
    the weight.
    """
    weight = weights[f"{name}.weight"]
    x = tf.cast(x, weight.dtype)
    y = tf.matmul(x, weight, transpose_b=True)
    if f"{name}.lora_A" in weights:
        down, up = (tf.cast(weights[f"{name}.{part}"], weight.dtype) for part in ("lora_A", "lora_B"))
        y += tf.matmul(tf.matmul(x, down, transpose_b=True), up, transpose_b=True)
    return tf.cast(y, tf.float32) + weights[f"{name}.bias"]


def epoch_batches(
    tokenizer: Tokenizer, datasets: Mapping[str, Sequence[Example]], recipe: LaterStage, random: np.random.Generator
) -> Iterator[TrainingBatch]:
    """The batches of one epoch in random order, whose rows are pairs: the second half of the rows
    of a batch belongs to the first half.
    """
    pairs = [pair for name, examples in datasets.items() for pair in _pairs(name, examples, recipe, random)]
    rewritten = [pair for example in datasets.get("subtitles", ()) if (pair := negation.rewrite(example))]
    pairs += negation.contrast_pairs(min(recipe.negations, len(pairs)), rewritten, random)
    texts = [*(pair.first.text for pair in pairs), *(pair.second.text for pair in pairs)]
    targets = pair_targets(pairs, recipe.label_smoothing)
    return pair_batches(encode(tokenizer, texts, recipe.max_tokens), targets, recipe.tokens_per_batch, random)


def _pairs(name: str, examples: Sequence[Example], recipe: LaterStage, random: np.random.Generator) -> Iterator[Pair]:
    """Pairs of a text and its copy, or of two texts of similar length for UNPAIRED."""
    if name not in UNPAIRED:
        for row in draw(np.full(len(examples), recipe.views(name)), random).tolist():
            example = examples[row]
            text = swap_all_names(example.text, random) if random.random() < NAMES_SHARE else example.text
            copy = Example(augment(example.text, random), example.target)
            yield Pair(Example(text, example.target), copy, copies=True)
        return
    # Emotions of few examples have more views.
    views = recipe.views(name) * label_weights(examples) * len(examples) if examples else np.zeros(0)
    rows = draw(views, random)
    order = rows[np.argsort([len(examples[row].text) for row in rows.tolist()], kind="stable")]
    for first, second in zip(order[::2].tolist(), order[1::2].tolist(), strict=False):
        texts = (examples[first], examples[second])
        changed = [Example(augment(one.text, random), one.target) if random.random() < 0.5 else one for one in texts]
        yield Pair(changed[0], changed[1], copies=False)
