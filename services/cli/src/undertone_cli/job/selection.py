"""Which paragraphs a run is for: all of them, or the dead letters of one that is complete."""

from collections.abc import Iterable
from typing import Protocol

from undertone_client.jobs import OutputError

from undertone_cli.job.failures import FailureRow
from undertone_cli.job.shard import Shard
from undertone_cli.sources import Item


class Selection(Protocol):
    """What of the input is scored, if it has no score yet. `whole` says whether that is all of it."""

    whole: bool

    def covers(self, item: Item) -> bool:
        """Whether the paragraph's part is to be touched at all."""
        ...

    def withheld(self, item: Item) -> FailureRow | None:
        """The failure that a paragraph without a score is to keep, unsent; None to send it."""
        ...


class Everything:
    """All paragraphs of the input."""

    whole = True

    def covers(self, item: Item) -> bool:
        return True

    def withheld(self, item: Item) -> FailureRow | None:
        return None


class DeadLetters:
    """The paragraphs of failures.jsonl. Both it and the input are in the input's order, so that one pass over each will do.

    `changed` counts the letters whose text is not the one that failed; they stay as they are, as a score of another text would
    not belong into the table.
    """

    whole = False

    def __init__(self, letters: Iterable[FailureRow], shards: Iterable[Shard], rows_per_part: int) -> None:
        self._letters = iter(letters)
        self._parts = {shard.number for shard in shards if shard.failed}
        self._rows_per_part = rows_per_part
        self.changed = 0

    def covers(self, item: Item) -> bool:
        return item.ordinal // self._rows_per_part in self._parts

    def withheld(self, item: Item) -> FailureRow | None:
        """See `Selection`.

        Raises:
            OutputError: the paragraph has neither score nor letter.
        """
        # Letters that are passed over have their score since: from a replay that was killed before it could say so.
        letter = next((letter for letter in self._letters if letter.id == item.id), None)
        if letter is None:
            raise OutputError(
                f"{item.place}: {item.id!r} has neither a score nor a line in failures.jsonl; "
                "the input has changed since: score it into another folder"
            )
        if letter.text_sha256 == item.text_sha256:
            return None
        self.changed += 1
        return letter
