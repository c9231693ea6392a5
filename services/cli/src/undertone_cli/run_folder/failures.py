"""_failures.jsonl: a record of each dead letter, which is a paragraph without a score."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self, TextIO

from undertone_client.jobs import OutputError

from undertone_cli.readers import InputParagraph
from undertone_cli.run_folder.folder import RunFolder, replace_file, temporary_path
from undertone_cli.run_folder.manifest import Shard


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """One line of _failures.jsonl.

    `status` is the name of a gRPC status code, and `reason` the service's message or the reason
    why the paragraph was not sent. `attempts` is 0 if it was not sent.
    """

    id: str | int
    document: str
    position: int
    text_sha256: str
    status: str
    reason: str
    attempts: int

    @classmethod
    def of(cls, paragraph: InputParagraph, status: str, reason: str, attempts: int) -> Self:
        """The record of a paragraph."""
        return cls(paragraph.id, paragraph.document, paragraph.position, paragraph.text_sha256, status, reason, attempts)

    def to_json(self) -> str:
        """The line, including its line end."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


class FailureFile:
    """Writes a new _failures.jsonl in the order of the input. Used as a context manager.

    Parts may end in any order. `publish` replaces the old file, which stays complete until then.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._unwritten: dict[int, list[FailureRecord]] = {}
        self._next_part = 0

    def __enter__(self) -> Self:
        with self._folder.output_errors():
            self._file: TextIO = temporary_path(self._folder.failures).open("w", encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with suppress(OSError):  # data that could not be flushed is no longer needed
            self._file.close()
        with suppress(OSError):
            temporary_path(self._folder.failures).unlink(missing_ok=True)

    def add(self, part: int, failures: list[FailureRecord]) -> None:
        """Add the failures of a part. They are written after those of all earlier parts."""
        self._unwritten[part] = failures
        while self._next_part in self._unwritten:
            self._write(self._unwritten.pop(self._next_part))
            self._next_part += 1

    def publish(self) -> None:
        """Write the failures that still wait for an earlier part, and replace the old file."""
        for part in sorted(self._unwritten):
            self._write(self._unwritten.pop(part))
        with self._folder.output_errors():
            self._file.close()
            replace_file(self._folder.failures)

    def _write(self, failures: Iterable[FailureRecord]) -> None:
        with self._folder.output_errors():
            self._file.writelines(failure.to_json() for failure in failures)


def read_failures(folder: RunFolder) -> Iterator[FailureRecord]:
    """The records of _failures.jsonl; none if the file does not exist.

    Raises:
        OutputError: the file cannot be read, or a line is not a failure record.
    """
    number = 0
    try:
        with folder.failures.open(encoding="utf-8") as lines:
            for line in lines:
                number += 1
                yield FailureRecord(**json.loads(line))
    except FileNotFoundError:
        return
    except (ValueError, TypeError):
        raise OutputError(
            f"{folder.failures}, line {number}: not a failure record; run the same `undertone score` again to rewrite the file"
        ) from None
    except OSError as error:
        raise OutputError(f"{folder.failures} cannot be read: {error.strerror or error}") from None


class FailedParagraphs:
    """The dead letters that a replay has not scored yet. It checks them against the input.

    The records and the input have the same order, so that one pass over each is enough. No record
    is dropped: each belongs to a paragraph that has a score, or that is sent again.

    Args:
        records: the records of _failures.jsonl.
        shards: the shards of the folder.
        rows_per_part: number of paragraphs of a part.
    """

    def __init__(self, records: Iterable[FailureRecord], shards: Iterable[Shard], rows_per_part: int) -> None:
        self._records = iter(records)
        self._parts = {shard.number for shard in shards if shard.failed}
        self._rows_per_part = rows_per_part
        self._next = next(self._records, None)

    def in_affected_part(self, paragraph: InputParagraph) -> bool:
        """Whether the paragraph belongs to a part that has failures."""
        return paragraph.ordinal // self._rows_per_part in self._parts

    def take(self, paragraph: InputParagraph, *, scored: bool) -> None:
        """Take the record of the next paragraph of the input.

        Args:
            paragraph: the paragraph.
            scored: whether the paragraph has a score. It may then have a record, too: of a replay
                that was killed after it had scored the paragraph.

        Raises:
            OutputError: the paragraph has neither a score nor a record of this text.
        """
        record = self._next
        if record is not None and (record.id, record.text_sha256) == (paragraph.id, paragraph.text_sha256):
            self._next = next(self._records, None)
        elif not scored:
            raise OutputError(
                f"{paragraph.location}: {paragraph.id!r} has neither a score nor a line in _failures.jsonl; run the same "
                "`undertone score` again: it scores every paragraph that has no score"
            )

    def check_all_taken(self) -> None:
        """Check at the end of the input that no record is left.

        Raises:
            OutputError: a record belongs to no paragraph of the input.
        """
        if self._next is not None:
            raise OutputError(
                f"_failures.jsonl names {self._next.id!r}, which has no score and is not where the input had it; run the same "
                "`undertone score` again: it scores every paragraph that has no score"
            )
