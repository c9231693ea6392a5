"""The scheduler that shares the model server between the two lanes."""

from typing import Final

from undertone_sidecar.batching.request import Lane

_IDLE_BATCHES: Final = 16
"""Full batches of the batch lane after which an empty online lane counts as idle."""

_MAX_CREDIT_BATCHES: Final = 4
"""Maximum excess of the batch lane over its share, in full batches. The rest is forgotten."""


class FairShare:
    """Weighted fair scheduler of the two lanes. It counts padded tokens.

    The batch lane gets at least `share` of all tokens while it has requests. The online lane gets
    the rest. If one lane is empty, the other gets everything.
    """

    def __init__(self, *, share: float, budget: int) -> None:
        """`share` is from 0 to below 1. `budget` is the padded tokens of a full batch."""
        self._share = share
        self._budget = budget
        # Tokens by which the batch lane is below its share. Negative if it is above.
        self._batch_deficit = 0.0
        self._tokens_since_online: float = _IDLE_BATCHES * budget

    @property
    def is_online_active(self) -> bool:
        """Whether online requests came recently. If so, batches of the batch lane are short."""
        return self._tokens_since_online < _IDLE_BATCHES * self._budget

    def next_lane(self, *, online_waiting: bool, batch_waiting: bool) -> Lane | None:
        """The lane to serve next. None if both are empty."""
        if online_waiting and batch_waiting:
            return Lane.BATCH if self._batch_deficit > 0 else Lane.ONLINE
        if online_waiting or batch_waiting:
            return Lane.ONLINE if online_waiting else Lane.BATCH
        return None

    def record(self, lane: Lane, tokens: int, *, batch_waiting: bool) -> None:
        """Records a batch. `batch_waiting` says whether the batch lane had requests then."""
        if lane is Lane.ONLINE:
            self._tokens_since_online = 0
            if batch_waiting:
                self._batch_deficit += self._share * tokens
            else:
                # An empty lane must not save up capacity.
                self._batch_deficit = min(self._batch_deficit, 0.0)
        else:
            self._tokens_since_online += tokens
            used = (1 - self._share) * tokens
            self._batch_deficit = max(self._batch_deficit - used, -_MAX_CREDIT_BATCHES * self._budget)
