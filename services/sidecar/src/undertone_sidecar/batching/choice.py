"""Which of those who wait make the next batch."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from undertone_sidecar.batching.line import Entry, Line

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Choice(Generic[T]):
    """Rows of one version, and the length in tokens that all of them are padded to."""

    rows: tuple[Entry[T], ...]
    length: int

    @property
    def padded_tokens(self) -> int:
        return len(self.rows) * self.length


def choose(line: Line[T], *, budget: int, most_rows: int, waste: float, wanted: Callable[[T], bool]) -> Choice[T] | None:
    """The batch to send now; None if nobody waits. Its rows stay in the line, but who is met and not `wanted` leaves it.

    Starts with the oldest entry, and with those after it that are overdue. Then takes in the nearest lengths, shorter or
    longer, up to `budget` padded tokens and `most_rows`, as long as padding the different lengths to one costs no more than
    `waste` tokens: beyond that another call is cheaper. An entry that is longer than the budget goes alone.
    """
    rows = _oldest(line, budget, most_rows, wanted)
    if not rows:
        return None
    length = max(row.length for row in rows)
    slack = waste - sum(length - row.length for row in rows)
    taken = {row.number for row in rows}
    shelves = line.lengths(rows[0].version)
    lengths = sorted(shelves)
    longer = bisect_right(lengths, length)
    shorter = longer - 1
    while len(rows) < most_rows and length * (len(rows) + 1) <= budget:
        if shorter >= 0 and (longer == len(lengths) or length - lengths[shorter] <= lengths[longer] - length):
            candidate, growth = lengths[shorter], 0
            shorter -= 1
            each = length - candidate
        elif longer < len(lengths):
            candidate, each = lengths[longer], 0
            longer += 1
            growth = (candidate - length) * len(rows)
        else:
            break
        # Where that costs too much, whatever is further off on the same side costs more. Equal lengths cost nothing.
        if each and each > slack:
            shorter = -1
            continue
        if growth > max(slack, 0):
            longer = len(lengths)
            continue
        longest = max(length, candidate)
        room = min(budget // longest, most_rows) - len(rows)
        if each:
            room = min(room, int(slack // each))
        found = list(islice(_usable(line, shelves[candidate].values(), taken, wanted), max(room, 0)))
        if found:
            rows += found
            length = longest
            slack -= growth + each * len(found)
    return Choice(tuple(rows), length)


def _oldest(line: Line[T], budget: int, most_rows: int, wanted: Callable[[T], bool]) -> list[Entry[T]]:
    """The oldest entry, and as many overdue ones of its version after it as fit in."""
    rows: list[Entry[T]] = []
    length = 0
    for entry in list(line):
        if not wanted(entry.payload):
            line.leave(entry)
            continue
        longer = max(length, entry.length)
        if rows:
            if not line.is_overdue(entry):
                break
            if entry.version != rows[0].version:
                continue
            if longer * (len(rows) + 1) > budget or len(rows) == most_rows:
                break
        rows.append(entry)
        length = longer
    return rows


def _usable(line: Line[T], shelf: Iterable[Entry[T]], taken: set[int], wanted: Callable[[T], bool]) -> Iterator[Entry[T]]:
    for entry in list(shelf):
        if entry.number in taken:
            continue
        if wanted(entry.payload):
            yield entry
        else:
            line.leave(entry)
