"""failures.jsonl: the dead letters, which are the paragraphs without a score, and why."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self, TextIO

from undertone_client.jobs import OutputError

from undertone_cli.job.folder import OutputFolder
from undertone_cli.sources import Item


@dataclass(frozen=True, slots=True)
class FailureRow:
    """One line of failures.jsonl. `status` is the name of a gRPC status code; `attempts` is 0 if it could not be sent."""

    id: str
    document: str
    position: int
    text_sha256: str
    status: str
    reason: str
    attempts: int

    @classmethod
    def of(cls, item: Item, status: str, reason: str, attempts: int) -> "FailureRow":
        """The line of an item."""
        return cls(item.id, item.document, item.position, item.text_sha256, status, reason, attempts)

    def to_json(self) -> str:
        """The line, with its end."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


class FailureListing:
    """Writes failures.jsonl anew, in the order of the input although parts end in any. Used as a context manager.

    It is written aside, and takes its place with `publish`: whenever the process is killed, a listing that was complete is
    there still.

    Raises:
        OutputError: it cannot be written.
    """

    def __init__(self, folder: OutputFolder) -> None:
        self._folder = folder
        self._aside = folder.aside(folder.failures)
        self._waiting: dict[int, list[FailureRow]] = {}
        self._next = 0

    def __enter__(self) -> Self:
        with self._folder.writing():
            self._file: TextIO = self._aside.open("w", encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with suppress(OSError):  # what could not be written before cannot be now; it is of no use any more
            self._file.close()
        with suppress(OSError):
            self._aside.unlink(missing_ok=True)

    def add(self, part: int, failures: list[FailureRow]) -> None:
        """The failures of a part that has ended; they are written once those of the parts before it are."""
        self._waiting[part] = failures
        while self._next in self._waiting:
            self._write(self._waiting.pop(self._next))
            self._next += 1

    def publish(self) -> None:
        """Write what still waits for an earlier part, as that will not end in this run, and put the file in its place."""
        for part in sorted(self._waiting):
            self._write(self._waiting.pop(part))
        with self._folder.writing():
            self._file.close()
            self._folder.put(self._aside, self._folder.failures)

    def _write(self, failures: Iterable[FailureRow]) -> None:
        with self._folder.writing():
            self._file.writelines(failure.to_json() for failure in failures)


def read_failures(folder: OutputFolder) -> Iterator[FailureRow]:
    """The lines of failures.jsonl, one after the other; none if there is no such file.

    Raises:
        OutputError: it cannot be read, or a line of it is no failure record.
    """
    number = 0
    try:
        with folder.failures.open(encoding="utf-8") as lines:
            for line in lines:
                number += 1
                yield FailureRow(**json.loads(line))
    except FileNotFoundError:
        return
    except (ValueError, TypeError):
        raise OutputError(
            f"{folder.failures}, line {number}: not a failure record; run the same `undertone score` again to have it rewritten"
        ) from None
    except OSError as error:
        raise OutputError(f"{folder.failures} cannot be read: {error.strerror or error}") from None
