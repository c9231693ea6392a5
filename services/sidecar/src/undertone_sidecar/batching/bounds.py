"""How much at once."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of calls: padded tokens (`budget`), sequences (`rows`), and how many run at once (`slots`). Of what waits: tokens in one
    lane (`waiting`). `batch_share`, from 0 up to 1, is the least part of all tokens that batch work gets while it waits."""

    budget: int
    rows: int
    slots: int
    waiting: int
    batch_share: float

    @classmethod
    def token_budget(cls, budget: int, *, calls: int, waiting: int, batch_share: float) -> Self:
        """`calls` at a time, each as full as it gets."""
        return cls(budget=budget, rows=budget, slots=calls, waiting=waiting, batch_share=batch_share)

    @classmethod
    def passthrough(cls, budget: int, *, calls: int, waiting: int, batch_share: float) -> Self:
        """Each sequence in a call of its own, `calls` at a time, for a model server that makes batches of them by itself."""
        return cls(budget=budget, rows=1, slots=calls, waiting=waiting, batch_share=batch_share)
