"""Reference outputs ("goldens"): what the original PyTorch implementation of BERT answers.

They are logits for given token ids, kept with the SHA-256 of the weights they belong to. model/goldens.py makes them.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undertone_model.adapters import COMMITTED
from undertone_model.errors import VerificationError


@dataclass(frozen=True, slots=True)
class Goldens:
    """Token ids and the logits [rows, labels] that the original implementation gives for them."""

    weights_sha256: str
    input_ids: tuple[tuple[int, ...], ...]
    logits: NDArray[np.float64]


def load(path: Path = COMMITTED / "goldens.json") -> Goldens:
    """Reads reference outputs. Raises VerificationError if they are missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        ids = tuple(tuple(int(token) for token in row) for row in record["input_ids"])
        goldens = Goldens(str(record["weights_sha256"]), ids, np.array(record["logits"], np.float64))
    except FileNotFoundError:
        raise VerificationError(f"{path} does not exist") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"{path} is damaged: {type(error).__name__}: {error}") from None
    if not all(ids) or goldens.logits.ndim != 2 or len(goldens.logits) != len(ids) or not ids:
        raise VerificationError(f"{path} is damaged: expected as many rows of logits as of input_ids, and at least one")
    return goldens


def committed(weights_sha256: str) -> Goldens | None:
    """The committed ones, if they belong to these weights."""
    goldens = load()
    return goldens if goldens.weights_sha256 == weights_sha256 else None
