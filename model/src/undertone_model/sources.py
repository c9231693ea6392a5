"""What can be exported: our own model, somebody's checkpoint, or random weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from undertone_model import adapters as adapter_files
from undertone_model import checkpoint as checkpoints
from undertone_model.adapters import Adapters, Score, TrainingData
from undertone_model.architecture import Architecture
from undertone_model.calibration import bias_vector
from undertone_model.checkpoint import Checkpoint
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import CheckpointError

#: Sizes that `random` makes.
ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "minilm": Architecture(num_hidden_layers=6, hidden_size=384, intermediate_size=1536),
    "bert-base": Architecture(),
    "bert-large": Architecture(num_hidden_layers=24, hidden_size=1024, intermediate_size=4096, num_attention_heads=16),
}


@dataclass(frozen=True, slots=True)
class Source:
    """What is exported: a checkpoint with a head, where it came from, and the calibration that goes into the graph.

    `weights_sha256` is that of the file that makes the weights ours or yours: adapters, or the checkpoint's; empty if random.
    `bias` has one number per label (empty: none) and `prior` names the kind of text that it was fitted for.
    """

    checkpoint: Checkpoint
    weights_sha256: str
    temperature: float = 1.0
    bias: tuple[float, ...] = ()
    prior: str = ""
    training_data: tuple[TrainingData, ...] = ()
    scores: tuple[Score, ...] = ()


def from_adapters(base: str | None, prior: str, folder: Path = adapter_files.COMMITTED) -> Source:
    """Our own model: the base with the adapters of `folder` merged in, calibrated for `prior`.

    Raises CheckpointError if the base is not the one that the adapters were trained on, or there is no such prior.
    """
    adapters = adapter_files.load(folder)
    if prior not in adapters.priors:
        raise CheckpointError(f"there is no prior {prior!r}; the adapters of {folder} have {', '.join(adapters.priors)}")
    calibration = adapters.priors[prior]
    return Source(
        checkpoint=merged(base, adapters),
        weights_sha256=adapters.sha256,
        temperature=calibration.temperature,
        bias=tuple(bias_vector(calibration).tolist()),
        prior=prior,
        training_data=adapters.training_data,
        scores=tuple(score for score in adapters.scores if score.data.endswith(f"@{prior}")),
    )


def merged(base: str | None, adapters: Adapters) -> Checkpoint:
    """The base with `adapters` merged in. Raises CheckpointError if it is not the base that they were trained on."""
    folder = checkpoints.base_folder(base)
    weights = folder / "model.safetensors"
    digest = checkpoints.file_sha256(weights)
    if digest != adapters.base_sha256:
        raise CheckpointError(f"{weights} (SHA-256 {digest}) is not the base that the adapters were trained on")
    found = checkpoints.load(folder)
    return replace(found, weights=adapter_files.merge(found.weights, adapters.tensors), labels=adapters.labels)


def from_folder(folder: Path) -> Source:
    """A fine-tuned BertForSequenceClassification. Raises CheckpointError if it has no head."""
    found = checkpoints.load(folder)
    if not found.labels:
        weights = folder / "model.safetensors"
        raise CheckpointError(f"{weights} has no classifier.weight; export needs a BertForSequenceClassification")
    return Source(found, checkpoints.file_sha256(folder / "model.safetensors"))


def random(size: str, seed: int = 0) -> Source:
    """Random weights of one of ARCHITECTURES with nine labels, for benchmarks.

    Biases are random too: TensorFlow folds zero biases away, and then no fused kernel matches.
    """
    architecture = ARCHITECTURES[size]
    generator = np.random.default_rng(seed)
    labels = tuple(f"LABEL_{index}" for index in range(len(EMOTIONS)))
    head = {"classifier.weight": (len(labels), architecture.hidden_size), "classifier.bias": (len(labels),)}
    weights = {
        name: (generator.standard_normal(shape, np.float32) * 0.02 + name.endswith("LayerNorm.weight")).astype(np.float32)
        for name, shape in (architecture.shapes() | head).items()
    }
    tokenizer = checkpoints.load(checkpoints.base_folder(None)).tokenizer
    return Source(Checkpoint(architecture, weights, tokenizer, labels), weights_sha256="")
