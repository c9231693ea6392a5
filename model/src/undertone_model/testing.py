"""Models that are small enough for tests, with random weights."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from undertone_model.architecture import Architecture
from undertone_model.checkpoint import Checkpoint, save_checkpoint
from undertone_model.emotions import EMOTIONS
from undertone_model.labels import ProblemType
from undertone_model.testing_tokenizers import tiny_tokenizer
from undertone_model.testing_weights import random_tensors

__all__ = ["golden_checkpoint", "tiny_checkpoint", "tiny_multi_label_export", "tiny_tokenizer"]


def tiny_checkpoint(
    folder: Path,
    labels: Sequence[str] = EMOTIONS,
    seed: int = 0,
    positions: int = 64,
    problem_type: ProblemType | None = "single-label",
) -> Path:
    """Writes a BertForSequenceClassification with two layers and random weights to `folder`, and
    returns it.

    `seed` determines the weights. With None, the configuration has no problem type.
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
    head = {"classifier.weight": (len(labels), architecture.hidden_size), "classifier.bias": (len(labels),)}
    weights = random_tensors(architecture.weight_shapes() | head, seed)
    save_checkpoint(folder, Checkpoint(architecture, weights, tokenizer, tuple(labels), problem_type))
    return folder


def golden_checkpoint(folder: Path, record: Mapping[str, Any]) -> Path:
    """Writes the small model of golden outputs to `folder`, and returns it.

    `record` is the content of a file that `model/make_goldens.py family` completed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(record["config"]), encoding="utf-8")
    save_file(random_tensors(record["shapes"]), folder / "model.safetensors", metadata={"format": "pt"})
    tiny_tokenizer(record["config"]["model_type"]).save(str(folder / "tokenizer.json"))
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
