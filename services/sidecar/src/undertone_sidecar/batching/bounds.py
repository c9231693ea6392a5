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
    def token_budget(cls, budget: int, *, waiting: int, batch_share: float) -> Self:
        """One call at a time, as full as it gets: two share the same cores, and are slower than one after the other."""
        return cls(budget=budget, rows=budget, slots=1, waiting=waiting, batch_share=batch_share)

    @classmethod
    def passthrough(cls, budget: int, *, calls: int, waiting: int, batch_share: float) -> Self:
        """Each sequence in a call of its own, for a model server that makes batches of `calls` calls by itself."""
        return cls(budget=budget, rows=1, slots=calls, waiting=waiting, batch_share=batch_share)
