"""Files of a training run: the trained tensors in half precision, and a record of the run.

The tensors are low-rank adapters, biases, layer norms, pooler and head. The record holds the
recipe, the calibrations, the training data and the scores.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as parse_tensors
from safetensors.numpy import save as serialize_tensors

from undertone_model.arrays import NamedArrays
from undertone_model.calibration import Calibration
from undertone_model.errors import CheckpointError

PACKAGED_ADAPTERS: Final = Path(str(files("undertone_model") / "artifacts"))
"""Folder of the adapters of the small model, which this package contains."""
LARGE_ADAPTERS: Final = PACKAGED_ADAPTERS / "large"
"""Folder of the adapters of the large model, which this package contains."""
TENSORS_FILE: Final = "adapters.safetensors"
RECORD_FILE: Final = "adapters.json"


@dataclass(frozen=True, slots=True)
class TrainingData:
    """A data set in the training data, as in the model contract."""

    name: str
    license: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Score:
    """A quality score, as in the model contract. An example of `data` is "goemotions/test"."""

    data: str
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Adapters:
    """Trained tensors by name, float32 in memory, and their record.

    `sha256` is the hash of the file of tensors; it is empty before they are saved. `priors` maps a
    kind of text to its calibration.
    """

    tensors: NamedArrays
    sha256: str
    base_sha256: str
    labels: tuple[str, ...]
    recipe: Mapping[str, float]
    priors: Mapping[str, Calibration]
    training_data: tuple[TrainingData, ...]
    scores: tuple[Score, ...]

    @property
    def default_prior(self) -> str:
        """The kind of text that an export is calibrated for by default: novels, or stories for
        adapters without a calibration for novels.
        """
        return next((name for name in ("novels", "stories", *self.priors) if name in self.priors), "novels")


def load_adapters(folder: Path = PACKAGED_ADAPTERS) -> Adapters:
    """Reads adapters. Raises CheckpointError if the files are missing, damaged or do not match."""
    try:
        content = (folder / TENSORS_FILE).read_bytes()
        tensors = {name: array.astype(np.float32) for name, array in parse_tensors(content).items()}
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        sha256 = hashlib.sha256(content).hexdigest()
        if record["sha256"] != sha256:
            raise CheckpointError(
                f"{folder / TENSORS_FILE} has the SHA-256 {sha256}, but {RECORD_FILE} records {record['sha256']}"
            )
        return Adapters(
            tensors=tensors,
            sha256=sha256,
            base_sha256=record["base_sha256"],
            labels=tuple(record["labels"]),
            recipe=record["recipe"],
            priors={name: Calibration(**values) for name, values in record["priors"].items()},
            training_data=tuple(TrainingData(**values) for values in record["training_data"]),
            scores=tuple(Score(**values) for values in record["scores"]),
        )
    except FileNotFoundError as error:
        raise CheckpointError(f"{error.filename} does not exist; create it with `undertone-model train`") from None
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{folder}: the adapters are damaged: {type(error).__name__}: {error}") from None


def save_adapters(folder: Path, adapters: Adapters) -> None:
    """Writes both files to `folder`, which is created if necessary. Raises CheckpointError."""
    content, _ = round_to_half(adapters.tensors)
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
        (folder / TENSORS_FILE).write_bytes(content)
        (folder / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"cannot write {folder}: {error.strerror}") from None


def round_to_half(tensors: Mapping[str, NDArray[np.float32]]) -> tuple[bytes, NamedArrays]:
    """Content of the file of `tensors` in half precision, and the rounded tensors in float32.

    Calibration and scores are measured with the rounded tensors.
    """
    halves = {name: array.astype(np.float16) for name, array in sorted(tensors.items())}
    return serialize_tensors(halves), {name: array.astype(np.float32) for name, array in halves.items()}


def merge_adapters(base: Mapping[str, NDArray[np.float32]], tensors: Mapping[str, NDArray[np.float32]]) -> NamedArrays:
    """Weights of the fine-tuned model, named as in a BertForSequenceClassification."""
    merged = dict(base)
    for name, array in tensors.items():
        if name.endswith(".lora_B"):
            layer = name.removesuffix(".lora_B")
            merged[f"{layer}.weight"] = base[f"{layer}.weight"] + array @ tensors[f"{layer}.lora_A"]
        elif not name.endswith(".lora_A"):
            merged[name] = array
    return merged
