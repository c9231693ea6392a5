"""A BERT model and its tokenizer, small enough for tests."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from undertone_model.architecture import Architecture
from undertone_model.checkpoint import Checkpoint, save_checkpoint
from undertone_model.emotions import EMOTIONS
from undertone_model.labels import ProblemType
from undertone_model.testing_tokenizers import tiny_tokenizer

__all__ = ["tiny_checkpoint", "tiny_tokenizer"]


def tiny_checkpoint(
    folder: Path,
    labels: Sequence[str] = EMOTIONS,
    seed: int = 0,
    positions: int = 64,
    problem_type: ProblemType | None = None,
) -> Path:
    """Writes a BertForSequenceClassification with two layers and random weights to `folder`, and
    returns it.

    `seed` determines the weights. By default, the configuration has no problem type.
    """
    tokenizer = tiny_tokenizer()
    architecture = Architecture(
        num_hidden_layers=2,
        hidden_size=32,
        intermediate_size=64,
        num_attention_heads=4,
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=positions,
    )
    random = np.random.default_rng(seed)
    head = {"classifier.weight": (len(labels), architecture.hidden_size), "classifier.bias": (len(labels),)}
    weights = {
        name: (random.normal(0, 0.3, shape) + name.endswith("LayerNorm.weight")).astype(np.float32)
        for name, shape in (architecture.weight_shapes() | head).items()
    }
    save_checkpoint(folder, Checkpoint(architecture, weights, tokenizer, tuple(labels), problem_type))
    return folder


def tiny_multi_label_export(folder: Path, labels: Sequence[str] = EMOTIONS, thresholds: Sequence[float] | None = None) -> Path:
    """Exports a tiny multi-label model to `folder/emotions/1`, in fp32, and returns that folder.

    By default, the thresholds are 0.5. The import of TensorFlow takes seconds.
    """
    from undertone_model.export import export
    from undertone_model.sources import from_checkpoint

    with tempfile.TemporaryDirectory(prefix="undertone-") as temporary:
        source = from_checkpoint(tiny_checkpoint(Path(temporary), labels, problem_type="multi-label"))
    if thresholds is not None:
        source = replace(source, thresholds=tuple(thresholds))
    return export(source, folder, "emotions")
