"""Whose turn it is: online work first, and a guaranteed share for batch work."""

from typing import Final

from undertone_sidecar.batching.item import Lane

_RECENT: Final = 16
"""Full calls' worth of batch work after which an online lane that has been empty no longer counts as used."""

_GRUDGE: Final = 4
"""Full calls' worth of work that batch work can have had in advance: what it had in quiet hours is not held against it."""


class Turns:
    """Shares out the model server between two lanes, in tokens.

    While batch work waits, it gets at least `share` of all tokens that are served; the rest goes to online work as long as
    there is any. Batch work that finds the model server idle takes all of it.
    """

    def __init__(self, *, share: float, budget: int) -> None:
        """`share` is between 0 and 1; `budget` is the padded tokens of a full call."""
        self._share = share
        self._budget = budget
        self._owed = 0.0
        self._quiet_tokens: float = _RECENT * budget

    @property
    def online_is_used(self) -> bool:
        """Whether online work came lately, so that batch work should not occupy the model server for long at a time."""
        return self._quiet_tokens < _RECENT * self._budget

    def next(self, *, online: bool, batch: bool) -> Lane | None:
        """The lane to serve, of those that have work; None if neither has."""
        if online and batch:
            return Lane.BATCH if self._owed > 0 else Lane.ONLINE
        if online or batch:
            return Lane.ONLINE if online else Lane.BATCH
        return None

    def served(self, lane: Lane, tokens: int, *, batch_waits: bool) -> None:
        """A call of `lane` took so many padded tokens, while batch work was waiting (its own included) or not."""
        if lane is Lane.ONLINE:
            self._quiet_tokens = 0
            # Who did not wait has nothing to claim.
            self._owed = self._owed + self._share * tokens if batch_waits else min(self._owed, 0.0)
        else:
            self._quiet_tokens += tokens
            self._owed = max(self._owed - (1 - self._share) * tokens, -_GRUDGE * self._budget)
