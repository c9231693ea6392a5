"""Interface of the model server."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from undertone_sidecar.contract import Signature

Tokens = npt.NDArray[np.int32]
"""Token ids or a mask: shape [rows, length]."""

Scores = npt.NDArray[np.float32]
"""Probabilities: shape [rows, labels]."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Tensors of one Predict call. The mask is 1 for tokens and 0 for padding."""

    version: int
    input_ids: Tokens
    attention_mask: Tokens


class Backend(Protocol):
    """Scores batches."""

    async def predict(self, batch: Batch, *, timeout: float | None) -> Scores:  # noqa: ASYNC109 — passed to gRPC
        """Scores of each row, within `timeout` seconds. None waits until the call has ended.

        Raises:
            DeadlineError, OverloadedError, ModelServerLostError, VersionGoneError, ModelServerError
        """


class Catalog(Protocol):
    """Lists the model versions of the model server."""

    async def versions(self) -> tuple[int, ...]:
        """Available versions, newest first. Raises errors as Backend.predict."""

    async def signature(self, version: int) -> Signature:
        """Input and output tensors of a version. Raises errors as Backend.predict."""
