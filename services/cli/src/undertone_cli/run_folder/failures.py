"""failures.jsonl: a record of each dead letter, which is a paragraph without a score."""

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
    """One line of failures.jsonl.

    `status` is the name of a gRPC status code, and `reason` the service's message or the reason
    why the paragraph was not sent. `attempts` is 0 if it was not sent.
    """

    id: str
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
    """Writes a new failures.jsonl in the order of the input. Used as a context manager.

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
    """The records of failures.jsonl; none if the file does not exist.

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
    """Selects the paragraphs in failures.jsonl for a replay.

    The records and the input have the same order, so that one pass over each is enough.

    Attributes:
        changed: number of paragraphs whose text has changed since they failed. They are not
            scored, because a score of another text would not belong in the table.
    """

    def __init__(self, records: Iterable[FailureRecord], shards: Iterable[Shard], rows_per_part: int) -> None:
        self._records = iter(records)
        self._parts = {shard.number for shard in shards if shard.failed}
        self._rows_per_part = rows_per_part
        self.changed = 0

    def in_affected_part(self, paragraph: InputParagraph) -> bool:
        """Whether the paragraph belongs to a part that has failures."""
        return paragraph.ordinal // self._rows_per_part in self._parts

    def record_if_changed(self, paragraph: InputParagraph) -> FailureRecord | None:
        """The record of a paragraph without a score, if its text has changed since it failed.

        None if the text is the same, so that the paragraph can be sent.

        Raises:
            OutputError: the paragraph has no record.
        """
        # Skips records of paragraphs that an earlier replay scored before it was killed.
        record = next((record for record in self._records if record.id == paragraph.id), None)
        if record is None:
            raise OutputError(
                f"{paragraph.location}: {paragraph.id!r} has neither a score nor a line in failures.jsonl, because the input "
                "has changed; score it into another folder"
            )
        if record.text_sha256 == paragraph.text_sha256:
            return None
        self.changed += 1
        return record
