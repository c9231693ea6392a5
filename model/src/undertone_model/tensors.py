"""Tensors of a Hugging Face checkpoint: model.safetensors, or its parts and their index."""

import hashlib
import json
from pathlib import Path
from typing import Final

import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 after this import
import numpy as np
from safetensors import SafetensorError, safe_open

from undertone_model.arrays import NamedArrays
from undertone_model.errors import CheckpointError

READABLE_DTYPES: Final = ("BF16", "F16", "F32", "F64")
"""Supported dtypes of tensors, with the names of safetensors. All are converted to float32."""

WEIGHT_FILES: Final = ("model.safetensors", "model.safetensors.index.json")
"""The file of all weights, or the index of its parts."""

IGNORED_TENSORS: Final = ("position_ids", "token_type_ids")
"""Last parts of the names of tensors that older checkpoints contain, and that are not weights."""


def refuse_adapter(folder: Path) -> None:
    """Raises CheckpointError if `folder` contains an adapter of PEFT and no model."""
    if (folder / "adapter_config.json").is_file() and not any(map(Path.is_file, map(folder.joinpath, WEIGHT_FILES))):
        raise CheckpointError(
            f"{folder} contains a PEFT adapter (adapter_config.json), not a model; merge it into its base with "
            "merge_and_unload() and save the result with save_pretrained"
        )


def read_tensors(folder: Path) -> NamedArrays:
    """All weights in `folder` by their names in the files. Raises CheckpointError."""
    weights: NamedArrays = {}
    for path in weight_files(folder):
        weights |= _read_file(path)
    return weights


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The file model.safetensors, or the parts that model.safetensors.index.json names.

    Raises CheckpointError if there are none.
    """
    path, index = map(folder.joinpath, WEIGHT_FILES)
    if path.is_file():
        return (path,)
    if not index.is_file():
        raise CheckpointError(_explain_missing(path))
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        parts = tuple(folder / Path(name).name for name in names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index} is damaged: {type(error).__name__}: {error}") from None
    if not parts:
        raise CheckpointError(f"{index} is damaged: weight_map is empty")
    for part in parts:
        if not part.is_file():
            raise CheckpointError(f"{part} does not exist, but {index.name} names it; download the complete checkpoint")
    return parts


def weights_sha256(folder: Path) -> str:
    """SHA-256 of the weight files, in the order of their names. Raises CheckpointError."""
    return file_sha256(*weight_files(folder))


def file_sha256(*paths: Path) -> str:
    """SHA-256 of the contents of files, one after the other, in lowercase hexadecimal.

    Raises CheckpointError if a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    return digest.hexdigest()


def _explain_missing(path: Path) -> str:
    folder = path.parent
    if (folder / "pytorch_model.bin").is_file() or (folder / "pytorch_model.bin.index.json").is_file():
        return (
            f"{path} does not exist, only pytorch_model.bin, which can run code when it is loaded; convert it with "
            f'AutoModelForSequenceClassification.from_pretrained("{folder}").save_pretrained("{folder}")'
        )
    return f"{path} does not exist; save the model with save_pretrained"


def _read_file(path: Path) -> NamedArrays:
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if name.rpartition(".")[2] not in IGNORED_TENSORS]  # noqa: SIM118 - not a mapping
            for name in names:
                if (dtype := file.get_slice(name).get_dtype()) not in READABLE_DTYPES:
                    expected = ", ".join(READABLE_DTYPES)
                    raise CheckpointError(
                        f"{path}: tensor {name} has the unsupported dtype {dtype}; save the model in one of {expected}"
                    )
            # A number beyond the range of float32 becomes infinite.
            with np.errstate(over="ignore"):
                tensors = {name: file.get_tensor(name).astype(np.float32) for name in names}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise CheckpointError(
                f"{path}: tensor {name} has numbers that are NaN, infinite or too large for fp32; "
                "use an earlier checkpoint of the training"
            )
    return tensors
