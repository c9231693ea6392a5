"""What the manifest says of each part of the table."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """The share of the work that ends in part `number` of the table: so many consecutive paragraphs of the input.

    `paragraphs` are those that the run has come to; `scored` rows stand in the part's file, and `failed` have no score.
    `complete` says that all have been tried; what failed is a dead letter then.
    """

    number: int
    paragraphs: int
    scored: int
    failed: int
    tokens: int
    complete: bool


class Shards:
    """The shards of a folder by number, as they change."""

    def __init__(self, shards: Iterable[Shard]) -> None:
        self._shards = {shard.number: shard for shard in shards}

    def update(self, shard: Shard) -> None:
        """Take note of a shard."""
        self._shards[shard.number] = shard

    def snapshot(self) -> tuple[Shard, ...]:
        """All of them, in order."""
        return tuple(self._shards[number] for number in sorted(self._shards))
