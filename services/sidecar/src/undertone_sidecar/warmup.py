"""First calls, made before callers come: the model server optimizes its graph and prepares each tensor shape once."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from undertone_sidecar.backend import Backend, Batch
from undertone_sidecar.errors import ContractError
from undertone_sidecar.model import Model

CALL_SECONDS: Final = 300.0
"""The first call of a large model takes tens of seconds."""


def shapes(model: Model, *, budget: int) -> Iterator[tuple[int, int]]:
    """Rows and tokens of the batches to try: one row at every length, then as many as the budget of padded tokens allows at the
    longest, which makes the largest tensors. More would delay readiness for little: the first call at a length is what is
    slow, and rows come in any number."""
    for length in model.lengths.steps:
        yield 1, length
    longest = model.lengths.steps[-1]
    if budget // longest > 1:
        yield budget // longest, longest


async def warm_up(backend: Backend, model: Model, *, budget: int, hurried: Callable[[], bool]) -> int:
    """Makes the calls until done or `hurried`, and returns how many.

    Raises ContractError if the answer has not the contract's labels, and what Backend.predict raises.
    """
    calls = 0
    for rows, length in shapes(model, budget=budget):
        if calls and hurried():
            break
        batch = Batch(model.version, np.zeros((rows, length), dtype=np.int32), np.ones((rows, length), dtype=np.int32))
        scores = await backend.predict(batch, timeout=CALL_SECONDS)
        if scores.shape[1] != len(model.contract.labels):
            raise ContractError(
                f"model {model.contract.name} version {model.version}: the model server answers {scores.shape[1]} "
                f"probabilities, but the contract has {len(model.contract.labels)} labels; export the model again"
            )
        calls += 1
    return calls
