"""One part of the table while it is being filled."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from undertone_client.jobs import OutputError

from undertone_cli.job.answers import Answer
from undertone_cli.job.failures import FailureRow
from undertone_cli.job.folder import OutputFolder
from undertone_cli.job.shard import Shard
from undertone_cli.job.table import Row, ScoresTable
from undertone_cli.sources import Item


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row of an earlier run."""

    text_sha256: str
    answer: Answer


class Part:
    """Part `number` of the table holds the scores of so many consecutive paragraphs of the input, in the input's order.

    Which paragraphs belong to it depends on nothing but the input, so a run that was stopped and continued, however often, ends
    with the same files as one that was not. What an earlier run left in the part's file is kept; `save` may be called at any
    time, and replaces the file with all that is known by then.
    """

    def __init__(self, number: int, folder: OutputFolder, table: ScoresTable) -> None:
        self._number = number
        self._path: Path = folder.part(number)
        self._folder = folder
        self._table = table
        self._kept: Any = None
        self._kept_rows: dict[str, int] = {}
        self._kept_answers: list[_Kept] = []
        self._places: dict[int, int] = {}  # ordinal → row of the kept table
        self._rows: dict[int, Row] = {}
        self._failures: dict[int, FailureRow] = {}
        self._open = 0
        self._unsaved = True
        if self._path.exists():
            self._kept = table.read(self._path)
            self._kept_answers = list(map(_Kept, self._kept["text_sha256"].to_pylist(), table.answers(self._kept)))
            self._kept_rows = {ident: row for row, ident in enumerate(self._kept["id"].to_pylist())}
            self._unsaved = False

    @property
    def settled(self) -> bool:
        """Whether every paragraph that was entered has its outcome."""
        return self._open == 0

    def enter(self, item: Item) -> Answer | None:
        """Enter a paragraph. Its score of an earlier run, or None if it needs one.

        Raises:
            OutputError: the earlier score belongs to another text.
        """
        row = self._kept_rows.pop(item.id, None)
        if row is None:
            self._open += 1
            return None
        kept = self._kept_answers[row]
        if kept.text_sha256 != item.text_sha256:
            raise OutputError(
                f"{item.place}: {item.id!r} was scored with another text; "
                "the input has changed since: use --overwrite, or another --out"
            )
        self._places[item.ordinal] = row
        return kept.answer

    def score(self, item: Item, answer: Answer, scored_at: datetime) -> None:
        """Settle a paragraph with its score."""
        self._rows[item.ordinal] = Row.of(item, answer, scored_at)
        self._open -= 1
        self._unsaved = True

    def fail(self, item: Item, failure: FailureRow) -> None:
        """Settle a paragraph without one."""
        self._failures[item.ordinal] = failure
        self._open -= 1

    def failures(self) -> list[FailureRow]:
        """The failures, in the order of the input."""
        return [self._failures[ordinal] for ordinal in sorted(self._failures)]

    def shard(self, *, complete: bool) -> Shard:
        """What the manifest is to say of it."""
        scored, failed = len(self._kept_answers) + len(self._rows), len(self._failures)
        tokens = sum(kept.answer.tokens for kept in self._kept_answers) + sum(row.tokens for row in self._rows.values())
        return Shard(self._number, scored + failed + self._open, scored, failed, tokens, complete)

    def save(self) -> None:
        """Write the part if anything was added to it.

        Raises:
            OutputError: it cannot be written.
        """
        if self._unsaved:
            table = self._merged()
            self._folder.write(self._path, lambda aside: self._table.write(table, aside))
            self._unsaved = False

    def close(self) -> None:
        """Save the part, all of whose paragraphs were entered.

        Raises:
            OutputError: it cannot be written, or its file has rows that the input does not have.
        """
        if self._kept_rows:
            ident = next(iter(self._kept_rows))
            raise OutputError(f"{self._path} has {ident!r}, which is not in the input any more; start anew with --overwrite")
        self.save()

    def _merged(self) -> Any:
        ordinals = sorted(self._rows)
        new = self._table.of([self._rows[ordinal] for ordinal in ordinals])
        if self._kept is None:
            return new
        # Rows that were not come to yet, when a continued run is stopped again, stay in; their ordinals are all higher.
        last = max((*self._places, *self._rows), default=-1) + 1
        places = dict(self._places)
        places.update((last + offset, row) for offset, row in enumerate(self._kept_rows.values()))
        places.update((ordinal, self._kept.num_rows + index) for index, ordinal in enumerate(ordinals))
        return pa.concat_tables([self._kept, new]).take([places[ordinal] for ordinal in sorted(places)]).combine_chunks()
