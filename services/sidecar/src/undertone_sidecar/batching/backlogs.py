"""Padded tokens in the queue of a lane for each caller."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

_SIZE_CLASSES: Final = 64
"""Classes of callers by the number of bits of their backlog."""


class Backlogs:
    """Tokens for each caller that has any, in order of size.

    An update takes O(log callers) comparisons. A sum takes the same time for any number of callers.
    """

    def __init__(self) -> None:
        self._tokens: dict[str, int] = {}
        self._ascending: list[tuple[int, str]] = []
        self._class_callers = [0] * _SIZE_CLASSES
        self._class_tokens = [0] * _SIZE_CLASSES

    def __len__(self) -> int:
        """Number of callers with a backlog."""
        return len(self._tokens)

    def __getitem__(self, caller: str) -> int:
        """The backlog of a caller. 0 if it has none."""
        return self._tokens.get(caller, 0)

    def change(self, caller: str, tokens: int) -> None:
        """Adds `tokens`, which can be negative, to the backlog of a caller."""
        before = self._tokens.pop(caller, 0)
        if before:
            del self._ascending[bisect_left(self._ascending, (before, caller))]
            self._count(before, -1)
        after = before + tokens
        if after:
            self._tokens[caller] = after
            insort(self._ascending, (after, caller))
            self._count(after, 1)

    def descending(self) -> Iterator[tuple[int, str]]:
        """Backlogs and their callers, the largest first."""
        return reversed(self._ascending)

    def capped_sum(self, cap: int) -> int:
        """The sum of min(backlog, cap) over all callers, or slightly more.

        Backlogs with as many bits as `cap` count as a class: with their sum, or with `cap` each,
        whichever is less.
        """
        return sum(min(tokens, cap * callers) for callers, tokens in zip(self._class_callers, self._class_tokens, strict=True))

    def _count(self, backlog: int, callers: int) -> None:
        size_class = backlog.bit_length()
        self._class_callers[size_class] += callers
        self._class_tokens[size_class] += callers * backlog
