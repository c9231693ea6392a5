"""A BERT model and its tokenizer, small enough for tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from undertone_model.architecture import Architecture
from undertone_model.checkpoint import Checkpoint, save_checkpoint
from undertone_model.emotions import EMOTIONS
from undertone_model.testing_tokenizers import tiny_tokenizer

__all__ = ["tiny_checkpoint", "tiny_tokenizer"]


def tiny_checkpoint(folder: Path, labels: Sequence[str] = EMOTIONS, seed: int = 0, positions: int = 64) -> Path:
    """Writes a BertForSequenceClassification with two layers and random weights to `folder`, and
    returns it.

    `seed` determines the weights.
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
    save_checkpoint(folder, Checkpoint(architecture, weights, tokenizer, tuple(labels)))
    return folder
