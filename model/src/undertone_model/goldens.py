"""Golden outputs: logits of the original PyTorch implementation for given token ids.

model/make_goldens.py creates them. They are stored with the SHA-256 of their weights.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undertone_model.adapters import LARGE_ADAPTERS, PACKAGED_ADAPTERS
from undertone_model.errors import VerificationError


@dataclass(frozen=True, slots=True)
class Goldens:
    """Token ids, and the logits [rows, labels] of the original implementation."""

    weights_sha256: str
    input_ids: tuple[tuple[int, ...], ...]
    logits: NDArray[np.float64]


def load_goldens(path: Path) -> Goldens:
    """Reads golden outputs. Raises VerificationError if the file is missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        ids = tuple(tuple(int(token) for token in row) for row in record["input_ids"])
        goldens = Goldens(str(record["weights_sha256"]), ids, np.array(record["logits"], np.float64))
    except FileNotFoundError:
        raise VerificationError(f"{path} does not exist") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"{path} is damaged: {type(error).__name__}: {error}") from None
    if not all(ids) or goldens.logits.ndim != 2 or len(goldens.logits) != len(ids) or not ids:
        raise VerificationError(f"{path} is damaged: expected equal numbers of rows in input_ids and logits, and at least one")
    return goldens


def packaged_goldens(weights_sha256: str) -> Goldens | None:
    """The golden outputs in this package if they belong to these weights, else None."""
    files = (folder / "goldens.json" for folder in (PACKAGED_ADAPTERS, LARGE_ADAPTERS))
    packaged = (load_goldens(file) for file in files if file.is_file())
    return next((goldens for goldens in packaged if goldens.weights_sha256 == weights_sha256), None)
