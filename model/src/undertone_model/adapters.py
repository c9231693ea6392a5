"""What training produces: adapters, biases, norms, pooler and head in half precision, and the record of how they came to be."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from undertone_model.checkpoint import Arrays
from undertone_model.errors import CheckpointError

#: The committed ones.
COMMITTED: Final = Path(str(files("undertone_model") / "artifacts"))
TENSORS: Final = "adapters.safetensors"
RECORD: Final = "adapters.json"


@dataclass(frozen=True, slots=True)
class Calibration:
    """probabilities = softmax((logits + bias) / temperature), with `neutral_bias` for neutral and 0 for the others."""

    temperature: float
    neutral_bias: float


@dataclass(frozen=True, slots=True)
class TrainingData:
    """A data set that went into the weights, as in the model contract."""

    name: str
    license: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Score:
    """A measured quality, as in the model contract; `data` is such as "goemotions/test"."""

    data: str
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Adapters:
    """Trained tensors by name, float32 in memory, and their record; `priors` maps a kind of text to its calibration.

    `sha256` is that of the file they were read from, empty before they are saved.
    """

    tensors: Arrays
    sha256: str
    base_sha256: str
    labels: tuple[str, ...]
    recipe: Mapping[str, float]
    priors: Mapping[str, Calibration]
    training_data: tuple[TrainingData, ...]
    scores: tuple[Score, ...]


def load(folder: Path = COMMITTED) -> Adapters:
    """Reads adapters. Raises CheckpointError if a file is missing, damaged, or does not belong to the other."""
    try:
        content = (folder / TENSORS).read_bytes()
        tensors = {name: array.astype(np.float32) for name, array in load_tensors(content).items()}
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        digest = hashlib.sha256(content).hexdigest()
        if record["sha256"] != digest:
            raise CheckpointError(f"{folder / TENSORS} has the SHA-256 {digest}, {RECORD} says {record['sha256']}")
        return Adapters(
            tensors=tensors,
            sha256=digest,
            base_sha256=record["base_sha256"],
            labels=tuple(record["labels"]),
            recipe=record["recipe"],
            priors={name: Calibration(**values) for name, values in record["priors"].items()},
            training_data=tuple(TrainingData(**values) for values in record["training_data"]),
            scores=tuple(Score(**values) for values in record["scores"]),
        )
    except FileNotFoundError as error:
        raise CheckpointError(f"{error.filename} does not exist; `undertone-model train` writes it") from None
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{folder}: adapters are damaged: {type(error).__name__}: {error}") from None


def half(tensors: Mapping[str, NDArray[np.float32]]) -> tuple[bytes, Arrays]:
    """The bytes of `tensors` in half precision, and what is left of their values: what is measured must be what is stored."""
    halves = {name: array.astype(np.float16) for name, array in sorted(tensors.items())}
    return save_tensors(halves), {name: array.astype(np.float32) for name, array in halves.items()}


def save(folder: Path, adapters: Adapters) -> None:
    """Writes the two files into `folder`, which is made if need be. Raises CheckpointError."""
    content, _ = half(adapters.tensors)
    record = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "base_sha256": adapters.base_sha256,
        "labels": list(adapters.labels),
        "recipe": dict(adapters.recipe),
        "priors": {name: asdict(calibration) for name, calibration in adapters.priors.items()},
        "training_data": [asdict(data) for data in adapters.training_data],
        "scores": [asdict(score) for score in adapters.scores],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TENSORS).write_bytes(content)
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error.strerror}") from None


def merge(base: Mapping[str, NDArray[np.float32]], adapters: Mapping[str, NDArray[np.float32]]) -> Arrays:
    """The weights of the fine-tuned model, as a checkpoint of BertForSequenceClassification would hold them."""
    merged = dict(base)
    for name, array in adapters.items():
        if name.endswith(".lora_B"):
            layer = name.removesuffix(".lora_B")
            merged[f"{layer}.weight"] = base[f"{layer}.weight"] + array @ adapters[f"{layer}.lora_A"]
        elif not name.endswith(".lora_A"):
            merged[name] = array
    return merged
