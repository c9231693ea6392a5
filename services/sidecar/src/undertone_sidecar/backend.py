"""The model server as the sidecar sees it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from undertone_sidecar.contract import Signature

Tokens = npt.NDArray[np.int32]
"""Shape [rows, length]."""

Scores = npt.NDArray[np.float32]
"""Probabilities, shape [rows, labels]."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Tensors of one Predict call, for one version of the model. The mask is 1 at tokens and 0 at padding."""

    version: int
    input_ids: Tokens
    attention_mask: Tokens


class Backend(Protocol):
    """Scores batches."""

    async def predict(self, batch: Batch, *, timeout: float) -> Scores:  # noqa: ASYNC109 — it is gRPC's, and travels on
        """The scores of each row, within `timeout` seconds.

        Raises DeadlineError, OverloadedError, ModelServerLostError, VersionGoneError or ModelServerError.
        """


class Catalog(Protocol):
    """Tells what the model server has."""

    async def versions(self) -> tuple[int, ...]:
        """Versions ready to be asked, newest first. Raises RetryableError, DeadlineError or ModelServerError."""

    async def signature(self, version: int) -> Signature:
        """The tensors of a version. Raises RetryableError, DeadlineError or ModelServerError."""
