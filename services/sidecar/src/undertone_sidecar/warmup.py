"""First calls: the model server optimizes its graph with the very first, and prepares each tensor shape once."""

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from undertone_sidecar.backend import Backend, Batch
from undertone_sidecar.errors import ContractError
from undertone_sidecar.model import Model

CALL_SECONDS: Final = 300.0
"""The first call of a large model takes tens of seconds."""


async def warm_up(
    backend: Backend, model: Model, lengths: Iterable[int], *, hurried: Callable[[], bool] = lambda: False
) -> int:
    """Asks for one row at each of the `lengths`, until done or `hurried`; returns how many calls it made.

    The first call at a length is what is slow; rows come in any number. Raises ContractError if the answer has not the
    contract's labels, and what Backend.predict raises.
    """
    calls = 0
    for length in lengths:
        if calls and hurried():
            break
        batch = Batch(model.version, np.zeros((1, length), dtype=np.int32), np.ones((1, length), dtype=np.int32))
        scores = await backend.predict(batch, timeout=CALL_SECONDS)
        if scores.shape[1] != len(model.contract.labels):
            raise ContractError(
                f"model {model.contract.name} version {model.version}: the model server answers {scores.shape[1]} "
                f"probabilities, but the contract has {len(model.contract.labels)} labels; export the model again"
            )
        calls += 1
    return calls
