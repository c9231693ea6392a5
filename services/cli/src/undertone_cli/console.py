"""Tables on standard output, for people on a terminal and for programs."""

import re
import sys
from typing import TextIO

from rich.console import Console

WIDTH = 1000
"""Columns of a table that is not written to a terminal. A program reads it, so that lines are not
wrapped."""
_PADDING = re.compile(r" +$", re.MULTILINE)


class Trimmed:
    """A file that gets lines without the spaces with which rich fills up the width of a table."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.encoding = file.encoding

    def write(self, text: str) -> int:
        """Write whole lines."""
        return self._file.write(_PADDING.sub("", text))

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()


def output_console(file: TextIO | None = None, *, quiet: bool = False) -> Console:
    """A console on `file`, by default standard output."""
    console = Console(file=file, quiet=quiet, highlight=False)
    if console.is_terminal or quiet:
        return console
    return Console(file=Trimmed(file or sys.stdout), width=WIDTH, highlight=False)  # type: ignore[arg-type]
