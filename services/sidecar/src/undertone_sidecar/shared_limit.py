"""A limit that callers share."""

from collections import Counter
from typing import Final

SHARE_OF_FREE: Final = 7
"""Maximum use of a caller, as a multiple of the free rest."""


class SharedLimit:
    """Counts the use of a limited resource, by caller.

    A caller may use at most seven times as much as is free. So one caller alone can use 7/8 of the
    limit, callers that use all they can get equal shares, and a caller that uses nothing still
    finds room (dynamic threshold: Choudhury and Hahne, 1998).
    """

    def __init__(self, limit: int) -> None:
        self.limit: Final = limit
        self._used = 0
        self._callers: Counter[str] = Counter()

    @property
    def used(self) -> int:
        """The use of all callers."""
        return self._used

    @property
    def free(self) -> int:
        return self.limit - self._used

    def used_by(self, caller: str) -> int:
        return self._callers.get(caller, 0)

    @property
    def largest_use(self) -> int:
        """The use of the caller with the most."""
        return max(self._callers.values(), default=0)

    def is_full(self, amount: int) -> bool:
        """Whether `amount` more exceeds the limit. If nothing is used, any amount fits."""
        return bool(self._used) and amount > self.free

    def exceeds_share(self, caller: str, amount: int) -> bool:
        """Whether `amount` more exceeds the share of a caller. The first amount never does."""
        own = self.used_by(caller)
        return bool(own) and own + amount > SHARE_OF_FREE * self.free

    def fits(self, caller: str, amount: int) -> bool:
        return not self.is_full(amount) and not self.exceeds_share(caller, amount)

    def add(self, caller: str, amount: int) -> None:
        self._used += amount
        self._callers[caller] += amount

    def remove(self, caller: str, amount: int) -> None:
        self._used -= amount
        self._callers[caller] -= amount
        if not self._callers[caller]:
            del self._callers[caller]
