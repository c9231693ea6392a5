"""The ids seen so far and where, in constant memory."""

import sqlite3
from contextlib import closing
from types import TracebackType
from typing import Self

from undertone_client.jobs import InputError


class IdLedger:
    """Refuses an id that was seen before. Used as a context manager.

    The ids live in a temporary SQLite database that spills to disk, so that a hundred million of them need no more memory than
    a hundred; the file has no name and vanishes with the process.
    """

    def __init__(self) -> None:
        self._seen = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._seen.execute("PRAGMA journal_mode = OFF")
        self._seen.execute("PRAGMA synchronous = OFF")
        self._seen.execute("CREATE TABLE seen (id TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._seen.close()

    def add(self, ident: str, place: str) -> None:
        """Note an id.

        Raises:
            InputError: it was seen before; names both places. Or there is no room to note it.
        """
        try:
            self._seen.execute("INSERT INTO seen VALUES (?, ?)", (ident, place))
        except sqlite3.IntegrityError:
            with closing(self._seen.execute("SELECT place FROM seen WHERE id = ?", (ident,))) as rows:
                first = rows.fetchone()[0]
            raise InputError(f"the id {ident!r} is given twice: {first}, and {place}; ids must be unique") from None
        except sqlite3.Error as error:
            raise InputError(
                f"the ids cannot be compared, as the folder for temporary files is full or cannot be written ({error}); "
                "name another with the environment variable SQLITE_TMPDIR"
            ) from None
