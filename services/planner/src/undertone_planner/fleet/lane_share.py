"""The fair share of the two lanes of a pod, as undertone_sidecar.batching.lanes computes it."""

import math
from typing import Final

from undertone_planner.fleet.work import Lane

IDLE_BATCHES: Final = 16
"""Full batches of the batch lane after which the online lane counts as idle."""
CREDIT_BATCHES: Final = 4
"""Largest excess of the batch lane over its share, in full batches."""


class LaneShare:
    """Gives the batch lane at least `share` of the tokens while it has calls, and readers the rest.

    `budget` is the tokens of a full batch. None: each batch counts as full.
    """

    def __init__(self, share: float, budget: int | None) -> None:
        self._share = share
        self._budget = budget
        self._batch_deficit = 0.0
        self._tokens_since_online = math.inf

    @property
    def is_online_active(self) -> bool:
        """Whether readers called recently. False without a budget."""
        return self._budget is not None and self._tokens_since_online < IDLE_BATCHES * self._budget

    def next_lane(self, *, online: bool, batch: bool) -> Lane | None:
        """The lane to serve, of those that have calls. None if neither has."""
        if online and batch:
            return Lane.BATCH if self._batch_deficit > 0 else Lane.ONLINE
        if online:
            return Lane.ONLINE
        return Lane.BATCH if batch else None

    def charge(self, lane: Lane, tokens: float, *, batch_waits: bool) -> None:
        """Count a batch of a lane. `batch_waits`: the batch lane has further calls."""
        if lane is Lane.BATCH:
            self._tokens_since_online += tokens
            credit = CREDIT_BATCHES * (self._budget or tokens)
            self._batch_deficit = max(self._batch_deficit - (1 - self._share) * tokens, -credit)
            return
        self._tokens_since_online = 0.0
        if batch_waits:
            self._batch_deficit += self._share * tokens
        else:
            self._batch_deficit = min(self._batch_deficit, 0.0)  # an empty lane saves no capacity
