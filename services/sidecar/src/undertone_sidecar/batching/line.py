"""Those who wait in one lane, in order of arrival and by length."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Entry(Generic[T]):
    """A sequence in a line: `length` tokens long, padded as if it were alone, and for one `version` of the model.

    `place` is the tokens that joined the line before it.
    """

    payload: T
    number: int
    length: int
    version: int
    place: int


class Line(Generic[T]):
    """First come, first known; leaving is possible anywhere.

    Age is counted in work, not in seconds: an entry is overdue once `patience` more tokens have left the line since it came
    than were in it before it, which is to say that so many tokens of younger entries were preferred to it. So the bound holds
    on any machine, and entries become overdue in their order of arrival.
    """

    def __init__(self, patience: int) -> None:
        self._patience: Final = patience
        self._entries: dict[int, Entry[T]] = {}
        self._shelves: dict[tuple[int, int], dict[int, Entry[T]]] = {}
        self._joined = 0
        self._left = 0
        self._number = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry[T]]:
        """The oldest first."""
        return iter(self._entries.values())

    @property
    def tokens(self) -> int:
        """That wait, each entry padded as if it were alone."""
        return self._joined - self._left

    def join(self, payload: T, *, length: int, version: int) -> None:
        """At the end."""
        entry = Entry(payload, self._number, length, version, self._joined)
        self._number += 1
        self._joined += length
        self._entries[entry.number] = entry
        self._shelves.setdefault((version, length), {})[entry.number] = entry

    def leave(self, entry: Entry[T]) -> None:
        """From wherever it stands. Raises KeyError if it has left."""
        del self._entries[entry.number]
        shelf = self._shelves[entry.version, entry.length]
        del shelf[entry.number]
        if not shelf:
            del self._shelves[entry.version, entry.length]
        self._left += entry.length

    def is_overdue(self, entry: Entry[T]) -> bool:
        return self._left - entry.place >= self._patience

    def lengths(self, version: int) -> Mapping[int, Mapping[int, Entry[T]]]:
        """The entries for a version by padded length, each the oldest first."""
        return {length: shelf for (served, length), shelf in self._shelves.items() if served == version}
