"""Paragraphs of an input: the raw record, then the paragraph with its id and its position."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from types import TracebackType
from typing import Any, Self

from undertone_client.jobs import InputError

from undertone_cli.readers.column_types import STRING, RowTypes, checked_id, conform
from undertone_cli.readers.raw_record import RawRecord, json_kind

MAX_NAME_CHARACTERS = 4096
"""Longest id and longest name of a document. A longer value is more likely a text."""


@dataclass(frozen=True, slots=True)
class InputParagraph:
    """A paragraph with its id, its document and its numbers.

    Attributes:
        ordinal: number among the paragraphs of all inputs, from 0.
        id: unique among all inputs. An integer if the ids of all inputs are integers.
        document: name of the document.
        position: number in the document, from 0.
        location: the place in the input, for error messages.
        text: None if the record has no valid text; `problem` then says why.
        text_sha256: lowercase hex; empty without a text.
        problem: the reason why there is no text.
        kept: the values of the columns to keep.
    """

    ordinal: int
    id: str | int
    document: str
    position: int
    location: str
    text: str | None = field(repr=False)
    text_sha256: str
    problem: str | None = None
    kept: tuple[Any, ...] = field(default=(), repr=False)


class UniqueIds:
    """Rejects an id that was added before. Used as a context manager.

    The ids are in a temporary SQLite database that spills to disk, so that memory stays constant
    for any number of ids. The file has no name, so that the kernel deletes it with the process.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE ids (id TEXT PRIMARY KEY, location TEXT NOT NULL) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._database.close()

    def add(self, ident: str | int, location: str) -> None:
        """Add an id.

        Raises:
            InputError: the id was added before, or the temporary database cannot be written.
        """
        try:
            self._database.execute("INSERT INTO ids VALUES (?, ?)", (ident, location))
        except sqlite3.IntegrityError:
            with closing(self._database.execute("SELECT location FROM ids WHERE id = ?", (ident,))) as rows:
                first = rows.fetchone()[0]
            raise InputError(f"duplicate id {ident!r}: {first}, and {location}; ids must be unique") from None
        except sqlite3.Error as error:
            raise InputError(
                f"ids cannot be checked for duplicates: the folder for temporary files is full or not writable ({error}); "
                "set the environment variable SQLITE_TMPDIR to another folder"
            ) from None


def number_paragraphs(
    records: Iterable[tuple[str, RawRecord]],
    id_column: str | None,
    ids: UniqueIds | None,
    *,
    keep: Sequence[str] = (),
    types: RowTypes | None = None,
) -> Iterator[InputParagraph]:
    """Give each record an id, a document and a position.

    Args:
        records: each with the name of its document, for records without a document of their own.
        id_column: the column with the ids; without one, ids are `<document>/<position>`.
        ids: checks that ids are unique; None does not check.
        keep: names of the kept columns, for error messages.
        types: the types of the output, which the values must have; None does not check.

    Raises:
        InputError: an id is missing, too long, neither a string nor an integer, or a duplicate; or
            the name of a document is too long or of another type.
    """
    positions: Counter[str] = Counter()
    for ordinal, (default, record) in enumerate(records):
        document = _checked_name(record.document, "document", record.location) or default
        position = positions[document]
        positions[document] += 1
        ident: str | int = f"{document}/{position:04d}"
        if id_column is not None and record.has_columns:
            ident = _checked_ident(record.id, id_column, record.location)
        kept = record.kept
        if types is not None:
            ident = _conforming_id(ident, types.id, record.location)
            if record.types is None:
                columns = zip(kept, types.kept, keep, strict=True)
                kept = tuple(conform(value, name, column, record.location) for value, name, column in columns)
        if ids is not None:
            ids.add(ident, record.location)
        text, digest, problem = _checked_text(record.text)
        if record.missing is not None:
            problem = f"the record has no field {record.missing!r}, which --text-column names"
        yield InputParagraph(ordinal, ident, document, position, record.location, text, digest, problem, kept)


def _checked_ident(value: object, column: str, location: str) -> str | int:
    ident = checked_id(value, location)
    if isinstance(ident, int):
        return ident
    name = _checked_name(ident, "id", location)
    if not name:
        raise InputError(f"{location}: the column {column!r} has no id; every paragraph needs one")
    return name


def _conforming_id(ident: str | int, wanted: str, location: str) -> str | int:
    if wanted == STRING:
        return str(ident)  # folders of earlier versions have only strings
    if isinstance(ident, int):
        return ident
    raise InputError(
        f"{location}: the id is a string, but the first ids are integers; ids have one type: write all of them as strings"
    )


def _checked_name(value: object, kind: str, location: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        if len(value) > MAX_NAME_CHARACTERS:
            raise InputError(
                f"{location}: the {kind} has {len(value):,} characters, the limit is {MAX_NAME_CHARACTERS:,}; "
                f"name another column with --{kind}-column"
            )
        if value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value):
            return value
        raise InputError(f"{location}: the {kind} contains a lone surrogate, which is not a valid character")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InputError(f"{location}: the {kind} is {json_kind(value)}; it must be a string or an integer")


def _checked_text(value: object) -> tuple[str | None, str, str | None]:
    """The text, its hash, and the reason why there is no text."""
    if not isinstance(value, str):
        return None, "", f"the text is {json_kind(value)}{'' if value is None else ', not a string'}"
    try:
        return value, sha256(value.encode()).hexdigest(), None
    except UnicodeEncodeError as error:
        return None, "", f"the text contains a lone surrogate at character {error.start}, which is not a valid character"
