"""Checkpoints in the layout of Hugging Face: config.json, model.safetensors, tokenizer.json."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from undertone_model.architecture import Architecture
from undertone_model.arrays import NamedArrays
from undertone_model.bases import LARGE_BASE, large_base, packaged_base
from undertone_model.configuration import read_configuration
from undertone_model.errors import CheckpointError
from undertone_model.families import ACTIVATIONS, FAMILIES, HEAD, Family, find_family
from undertone_model.labels import PROBLEM_TYPES, ProblemType, check_head, read_labels, read_problem_type
from undertone_model.tensors import read_tensors, refuse_adapter


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model: architecture, weights with the names of `Architecture.weight_shapes`, tokenizer and
    labels.

    A model without a classification head has no labels. `problem_type` is None if the configuration
    does not have it.
    """

    architecture: Architecture
    weights: NamedArrays
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    problem_type: ProblemType | None = None


def find_base(base: str | None) -> Path:
    """Folder of the base encoder. `base` is a folder, a hub id or LARGE_BASE; None means the base
    of the small model. The last two come from Python packages.

    Raises CheckpointError if packaged weights do not have their SHA-256, or if `base` does not
    exist.
    """
    if base is None:
        return packaged_base()
    if base == LARGE_BASE:
        return large_base()
    if base and Path(base).is_dir():
        return Path(base)
    if base.count("/") != 1 or base.startswith((".", "/", "~")):
        raise CheckpointError(
            f"--base {base!r} is invalid: use an existing folder, a hub id of the form owner/name, or {LARGE_BASE}"
        )
    # The import takes seconds and only a hub id needs it.
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(base, allow_patterns=["config.json", "model.safetensors", "tokenizer.json"]))
    except Exception as error:
        raise CheckpointError(f"cannot download --base {base} from the hub: {type(error).__name__}") from error


SIZES: Final = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
)
"""Fields of a configuration of one of WRITABLE_FAMILIES."""

WRITABLE_FAMILIES: Final = {"bert": "BertForSequenceClassification", "mpnet": "MPNetForSequenceClassification"}
"""Families of our bases, with the names of their classifiers."""


def load_checkpoint(folder: Path, *, classifier: bool = False) -> Checkpoint:
    """Reads an encoder of a supported family and its classifier, if any. Raises CheckpointError.

    With `classifier`, the model must be fine-tuned for the classification of texts.
    """
    refuse_adapter(folder)
    configuration = read_configuration(folder / "config.json")
    family = find_family(configuration)
    if classifier:
        check_head(configuration)
    problem_type = read_problem_type(configuration)
    architecture = family.architecture(configuration)
    _check_heads(configuration.path, architecture)
    weights = family.weights(read_tensors(folder), architecture)
    labels: tuple[str, ...] = ()
    head = [weights[name] for name in HEAD if name in weights]
    if head:
        labels = read_labels(configuration, len(np.atleast_1d(head[0])))
    _check_shapes(folder, weights, architecture, len(labels), family)
    tokenizer = _read_tokenizer(folder / "tokenizer.json", architecture)
    return Checkpoint(architecture, weights, tokenizer, labels, problem_type)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint of a classifier of one of WRITABLE_FAMILIES.

    Raises CheckpointError if the checkpoint is of another family or cannot be written.
    """
    architecture = checkpoint.architecture
    if architecture.family not in WRITABLE_FAMILIES:
        families = " or ".join(WRITABLE_FAMILIES)
        raise CheckpointError(
            f"cannot write a checkpoint of the family {architecture.family}: use a base of the family {families}"
        )
    # By default, transformers warns that PyTorch is missing. It is not needed here.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from transformers import BertConfig, MPNetConfig

    config = (MPNetConfig if architecture.family == "mpnet" else BertConfig)(
        **{name: value for name in SIZES if (value := getattr(architecture, name))},
        hidden_act=next(name for name, activation in ACTIVATIONS.items() if activation == architecture.activation),
        architectures=[WRITABLE_FAMILIES[architecture.family]],
        id2label=dict(enumerate(checkpoint.labels)),
        label2id={label: index for index, label in enumerate(checkpoint.labels)},
        problem_type=next((name for name, value in PROBLEM_TYPES.items() if value == checkpoint.problem_type), None),
    )
    tensor_name = FAMILIES[architecture.family].tensor_name
    weights = {tensor_name(name): array for name, array in checkpoint.weights.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config.to_json_file(folder / "config.json")
        save_file(dict(sorted(weights.items())), folder / "model.safetensors", metadata={"format": "pt"})
        checkpoint.tokenizer.save(str(folder / "tokenizer.json"))
    except OSError as error:
        raise CheckpointError(f"cannot write {folder}: {error.strerror}") from None


def _check_heads(path: Path, architecture: Architecture) -> None:
    heads = architecture.num_attention_heads
    if architecture.hidden_size % heads:
        raise CheckpointError(f"{path}: hidden_size {architecture.hidden_size} is not a multiple of {heads} attention heads")


def _read_tokenizer(path: Path, architecture: Architecture) -> Tokenizer:
    if not path.is_file():
        raise CheckpointError(
            f"{path} does not exist; "
            f'write it with AutoTokenizer.from_pretrained("{path.parent}").save_pretrained("{path.parent}") of transformers. '
            "A sentencepiece model (*.model) also needs the package sentencepiece"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    largest = max([*tokenizer.get_vocab().values(), *tokenizer.encode("").ids], default=-1)
    if largest >= architecture.vocab_size:
        raise CheckpointError(
            f"{path} has the token id {largest} but the model has {architecture.vocab_size} tokens; use the model's tokenizer"
        )
    return tokenizer


def _check_shapes(folder: Path, weights: NamedArrays, architecture: Architecture, labels: int, family: Family) -> None:
    expected = architecture.weight_shapes()
    if labels:
        expected |= {"classifier.weight": (labels, architecture.hidden_size), "classifier.bias": (labels,)}
    for name, shape in expected.items():
        if name not in weights:
            raise CheckpointError(
                f"{folder} has no tensor {family.tensor_name(name)}; use the complete checkpoint of a classifier"
            )
        if weights[name].shape != shape:
            actual = list(weights[name].shape)
            raise CheckpointError(
                f"{folder}: tensor {family.tensor_name(name)} has the shape {actual}, but config.json "
                f"describes {list(shape)}; use the config.json that was saved with the weights"
            )
