"""Sources of an export: our own model, a fine-tuned checkpoint, or random weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from undertone_model.adapters import PACKAGED_ADAPTERS, Adapters, Score, TrainingData, load_adapters, merge_adapters
from undertone_model.architecture import Architecture
from undertone_model.checkpoint import Checkpoint, find_base, load_checkpoint
from undertone_model.configuration import Configuration
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import CheckpointError
from undertone_model.families import find_family
from undertone_model.labels import ProblemType, choose_problem_type
from undertone_model.tensors import weights_sha256
from undertone_model.thresholds import DEFAULT_THRESHOLD

CONFIGURATIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "minilm": {"model_type": "bert", "num_hidden_layers": 6, "hidden_size": 384, "intermediate_size": 1536},
    "bert-base": {"model_type": "bert"},
    "bert-large": {
        "model_type": "bert",
        "num_hidden_layers": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
    },
    "roberta-base": {
        "model_type": "roberta",
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
    },
    "distilbert-base": {"model_type": "distilbert"},
    "electra-base": {
        "model_type": "electra",
        "embedding_size": 768,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_attention_heads": 12,
    },
    "mpnet-base": {"model_type": "mpnet", "max_position_embeddings": 514, "layer_norm_eps": 1e-5},
    "modernbert-base": {"model_type": "modernbert"},
    "deberta-v3-base": {
        "model_type": "deberta-v2",
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "vocab_size": 128100,
        "type_vocab_size": 0,
        "layer_norm_eps": 1e-7,
        "relative_attention": True,
        "pos_att_type": "p2c|c2p",
        "position_buckets": 256,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
        "pooler_hidden_act": "gelu",
    },
}
"""Configurations of models with random weights: those of the published models of these names.

Absent fields have the defaults of their family.
"""


def _architecture(fields: Mapping[str, Any]) -> Architecture:
    configuration = Configuration(Path("config.json"), dict(fields))
    return find_family(configuration).architecture(configuration)


WINDOW_TOKENS: Final = 128
"""Tokens of a window of CHUNK_MAX, special tokens included. A paragraph of the training data has at
most about 200 tokens. model/CARD.md compares windows of several lengths.
"""

ARCHITECTURES: Final = {size: _architecture(fields) for size, fields in CONFIGURATIONS.items()}
"""Architectures of CONFIGURATIONS."""


@dataclass(frozen=True, slots=True)
class Source:
    """The model to export: a checkpoint with a head, its origin, and the calibration of the graph.

    `weights_sha256` is the hash of the adapters or of the checkpoint's weights; it is empty for
    random weights. `thresholds` has one number for each label of a multi-label model; it is empty
    for a single-label model. `bias` has one number for each label, or is empty. `prior` is the kind
    of text that the calibration was fitted for. `window_tokens` is the number of tokens in which
    CHUNK_MAX finds a passage with an emotion, and `neutral_label` is the label of other text; 0 and
    empty for models for which they were not measured.
    """

    checkpoint: Checkpoint
    weights_sha256: str
    problem_type: ProblemType = "single-label"
    thresholds: tuple[float, ...] = ()
    temperature: float = 1.0
    bias: tuple[float, ...] = ()
    prior: str = ""
    training_data: tuple[TrainingData, ...] = ()
    scores: tuple[Score, ...] = ()
    window_tokens: int = 0
    neutral_label: str = ""


def from_adapters(base: str | None, prior: str | None, folder: Path = PACKAGED_ADAPTERS) -> Source:
    """Our own model: the base with the adapters in `folder` merged into it, calibrated for `prior`.

    If `prior` is None, it is the default prior of the adapters.

    Raises CheckpointError if the adapters were trained on a different base or have no such prior.
    """
    adapters = load_adapters(folder)
    prior = prior or adapters.default_prior
    if prior not in adapters.priors:
        raise CheckpointError(
            f"--prior {prior!r} is invalid: the adapters in {folder} have {', '.join(adapters.priors) or 'none'}"
        )
    calibration = adapters.priors[prior]
    return Source(
        checkpoint=merge_into_base(base, adapters),
        weights_sha256=adapters.sha256,
        temperature=calibration.temperature,
        bias=tuple(calibration.bias().tolist()),
        prior=prior,
        training_data=adapters.training_data,
        scores=tuple(score for score in adapters.scores if score.data.endswith(f"@{prior}")),
        window_tokens=WINDOW_TOKENS,
        neutral_label="neutral",
    )


def merge_into_base(base: str | None, adapters: Adapters) -> Checkpoint:
    """The base with `adapters` merged into it. Raises CheckpointError for another base."""
    folder = find_base(base)
    sha256 = weights_sha256(folder)
    if sha256 != adapters.base_sha256:
        raise CheckpointError(f"the adapters were not trained on {folder} (SHA-256 {sha256}); set --base to their base")
    checkpoint = load_checkpoint(folder)
    weights = merge_adapters(checkpoint.weights, adapters.tensors)
    return replace(checkpoint, weights=weights, labels=adapters.labels, problem_type="single-label")


def from_checkpoint(folder: Path, problem_type: ProblemType | None = None) -> Source:
    """A fine-tuned classifier. The thresholds of a multi-label model are DEFAULT_THRESHOLD.

    `problem_type` replaces an absent value in the configuration. Raises CheckpointError if the
    model has no head, or its problem type is not supported or contradicts `problem_type`.
    """
    checkpoint = load_checkpoint(folder, classifier=True)
    if not checkpoint.labels:
        raise CheckpointError(
            f"{folder} has no classification head; an export needs a model that was fine-tuned as …ForSequenceClassification"
        )
    chosen = choose_problem_type(folder, checkpoint.problem_type, problem_type, checkpoint.labels)
    thresholds = (DEFAULT_THRESHOLD,) * len(checkpoint.labels) if chosen == "multi-label" else ()
    return Source(checkpoint, weights_sha256(folder), chosen, thresholds)


def random_weights(size: str, seed: int = 0) -> Source:
    """Random weights of one of ARCHITECTURES with nine labels, for benchmarks.

    Biases are random too: TensorFlow removes zero biases, and then no fused kernel matches.
    """
    architecture = ARCHITECTURES[size]
    random = np.random.default_rng(seed)
    labels = tuple(f"LABEL_{index}" for index in range(len(EMOTIONS)))
    head = {"classifier.weight": (len(labels), architecture.hidden_size), "classifier.bias": (len(labels),)}
    weights = {
        name: (random.standard_normal(shape, np.float32) * 0.02 + name.endswith("LayerNorm.weight")).astype(np.float32)
        for name, shape in (architecture.weight_shapes() | head).items()
    }
    tokenizer = load_checkpoint(find_base(None)).tokenizer
    return Source(Checkpoint(architecture, weights, tokenizer, labels), weights_sha256="")
