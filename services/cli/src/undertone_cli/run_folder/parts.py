"""The parts of the table, and the writer that fills them during a run."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any

import pyarrow as pa
from undertone_client.jobs import OutputError

from undertone_cli.flag_reasons import split_flags
from undertone_cli.readers import InputParagraph
from undertone_cli.run_folder.failures import FailureFile, FailureRecord
from undertone_cli.run_folder.folder import RunFolder
from undertone_cli.run_folder.manifest import Shard
from undertone_cli.run_folder.table import ScoreRow, ScoreTable, TextScore


@dataclass(frozen=True, slots=True)
class _SavedRow:
    """A row that an earlier run saved."""

    index: int
    text_sha256: str
    score: TextScore


class Part:
    """One part of the table: the scores of a range of paragraphs, in the order of the input.

    The range depends only on the input, so that an interrupted and continued run makes the same
    files as an uninterrupted one. The part keeps the rows that an earlier run saved.
    """

    def __init__(self, number: int, folder: RunFolder, table: ScoreTable) -> None:
        self._number = number
        self._path = folder.part(number)
        self._folder = folder
        self._table = table
        self._saved: Any = None
        self._unmatched: dict[str | int, _SavedRow] = {}  # by id: the input has not reached them yet
        self._matched: dict[int, _SavedRow] = {}  # by ordinal
        self._rows: dict[int, ScoreRow] = {}  # by ordinal: new rows
        self._failures: dict[int, FailureRecord] = {}  # by ordinal
        self._pending = 0
        self._short = 0
        self._changed = True
        if self._path.exists():
            self._saved = table.read(self._path)
            hashes = self._saved["text_sha256"].to_pylist()
            rows = map(_SavedRow, range(len(hashes)), hashes, table.scores(self._saved))
            self._unmatched = dict(zip(self._saved["id"].to_pylist(), rows, strict=True))
            self._changed = False

    @property
    def finished(self) -> bool:
        """Whether every added paragraph has a score or a failure."""
        return self._pending == 0

    @property
    def failures(self) -> list[FailureRecord]:
        """The failures, in the order of the input."""
        return [self._failures[ordinal] for ordinal in sorted(self._failures)]

    def add(self, paragraph: InputParagraph) -> TextScore | None:
        """Add a paragraph. Returns the score that an earlier run saved, or None if it needs one.

        Raises:
            OutputError: the saved score belongs to another text.
        """
        saved = self._unmatched.pop(paragraph.id, None)
        if saved is None:
            self._pending += 1
            return None
        if saved.text_sha256 != paragraph.text_sha256:
            raise OutputError(
                f"{paragraph.location}: {paragraph.id!r} was scored with another text, because the input has changed; "
                "discard the run with `undertone score --overwrite`, or use another --out"
            )
        self._matched[paragraph.ordinal] = saved
        return saved.score

    def add_short(self) -> None:
        """Count a paragraph that is too short to be scored."""
        self._short += 1

    def add_score(self, paragraph: InputParagraph, score: TextScore, scored_at: datetime) -> None:
        """Set the score of an added paragraph."""
        # Without the text, which would stay in memory until the part is complete.
        self._rows[paragraph.ordinal] = ScoreRow(replace(paragraph, text=None), score, scored_at)
        self._pending -= 1
        self._changed = True

    def add_failure(self, paragraph: InputParagraph, failure: FailureRecord) -> None:
        """Set the failure of an added paragraph."""
        self._failures[paragraph.ordinal] = failure
        self._pending -= 1

    def shard(self, *, complete: bool) -> Shard:
        """The shard of this part, as recorded in _run.json."""
        rows: Iterable[_SavedRow | ScoreRow] = chain(self._matched.values(), self._unmatched.values(), self._rows.values())
        scores = [row.score for row in rows]
        failed = len(self._failures)
        tokens = sum(score.tokens for score in scores)
        flags = Counter(flag for score in scores for flag in split_flags(score.flags))
        paragraphs = len(scores) + failed + self._short + self._pending
        return Shard(self._number, paragraphs, len(scores), failed, tokens, complete, self._short, dict(flags))

    def save(self) -> None:
        """Write the part's file if there are new rows. May be called at any time.

        Raises:
            OutputError: the file cannot be written.
        """
        if self._changed:
            table = self._merged()
            self._folder.write(self._path, lambda path: self._table.write(table, path))
            self._changed = False

    def close(self) -> None:
        """Save the part after all of its paragraphs were added.

        Raises:
            OutputError: the file cannot be written, or has rows that are not in the input.
        """
        if self._unmatched:
            ident = next(iter(self._unmatched))
            raise OutputError(
                f"{self._path} contains {ident!r}, which is no longer in the input; "
                "discard the run with `undertone score --overwrite`"
            )
        self.save()

    def _merged(self) -> Any:
        ordinals = sorted(self._rows)
        new = self._table.build([self._rows[ordinal] for ordinal in ordinals])
        if self._saved is None:
            return new
        # A continued run may stop before it reaches all saved rows; their ordinals are the highest.
        end = max((*self._matched, *self._rows), default=-1) + 1
        indexes = {ordinal: row.index for ordinal, row in self._matched.items()}
        indexes.update((end + offset, row.index) for offset, row in enumerate(self._unmatched.values()))
        indexes.update((ordinal, self._saved.num_rows + index) for index, ordinal in enumerate(ordinals))
        return pa.concat_tables([self._saved, new]).take([indexes[ordinal] for ordinal in sorted(indexes)]).combine_chunks()


class PartWriter:
    """Opens parts as the input reaches them, and closes each when its last paragraph is finished.

    Only parts with pending paragraphs are in memory.
    """

    def __init__(
        self,
        folder: RunFolder,
        table: ScoreTable,
        failure_file: FailureFile,
        shards: tuple[Shard, ...],
        rows_per_part: int,
    ) -> None:
        self._folder = folder
        self._table = table
        self._failure_file = failure_file
        self._shards = {shard.number: shard for shard in shards}
        self._rows_per_part = rows_per_part
        self._open: dict[int, Part] = {}
        self._current: int | None = None  # the part that the next paragraph may belong to
        self._next_part = 0  # all parts before this one were opened or skipped

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The shards of all parts, as recorded in _run.json."""
        return tuple(self._shards[number] for number in sorted(self._shards))

    def add(self, paragraph: InputParagraph) -> tuple[Part, TextScore | None]:
        """Add a paragraph. Returns its part, and the score that an earlier run saved, if any.

        Raises:
            OutputError: the saved score belongs to another text, or a part is damaged.
        """
        part = self._part(paragraph)
        return part, part.add(paragraph)

    def add_short(self, paragraph: InputParagraph) -> None:
        """Add a paragraph that is too short to be scored. It has neither a row nor a failure."""
        self._part(paragraph).add_short()

    def close_finished(self) -> None:
        """Write and close all finished parts except the current one."""
        for number in [number for number, part in self._open.items() if part.finished and number != self._current]:
            part = self._open[number]
            part.close()
            del self._open[number]
            self._shards[number] = part.shard(complete=True)
            self._failure_file.add(number, part.failures)

    def save(self) -> None:
        """Write all open parts."""
        for number, part in self._open.items():
            part.save()
            self._shards[number] = part.shard(complete=False)

    def finish(self, paragraphs: int) -> None:
        """Write everything at the end of the input. `paragraphs` is the length of the input.

        Raises:
            OutputError: the folder has parts beyond the end of the input.
        """
        parts = max(1, -(-paragraphs // self._rows_per_part))
        if paragraphs == 0:
            self._start(0)  # an empty input makes an empty table
        self._current = None
        self.close_finished()
        self._skip_to(parts)
        if len(self._folder.parts()) > parts:
            beyond = self._folder.part(parts)
            raise OutputError(
                f"the input ends before {beyond}, because it has changed; discard the run with `undertone score --overwrite`"
            )
        self._failure_file.publish()

    def save_interrupted(self) -> None:
        """Write everything when the run stops before the end of the input."""
        self.save()
        for number, part in self._open.items():
            self._failure_file.add(number, part.failures)

    def _part(self, paragraph: InputParagraph) -> Part:
        number = paragraph.ordinal // self._rows_per_part
        if number != self._current:
            self._start(number)
        return self._open[number]

    def _start(self, number: int) -> None:
        self._skip_to(number)
        self._open[number] = Part(number, self._folder, self._table)
        self._current = number
        self._next_part = number + 1
        self.close_finished()

    def _skip_to(self, number: int) -> None:
        for skipped in range(self._next_part, number):
            self._failure_file.add(skipped, [])
        self._next_part = max(self._next_part, number)
