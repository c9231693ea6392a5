"""Standard output that may be full, closed or a pipe."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TextIO

from rich.console import Console
from undertone_client.jobs import CommandError, ExitCode

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


@contextmanager
def optional_output() -> Iterator[None]:
    """Ignores errors of standard output, for text that is not the result of the command."""
    try:
        yield
        sys.stdout.flush()
    except OSError:
        _discard_output()


@contextmanager
def checked_standard_output() -> Iterator[None]:
    """Turns an error of standard output into a message and an exit code.

    A reader that ends early, such as `head`, is no error: the command ends with exit code 1 and
    without a message, as other programs do.
    """
    if sys.stdout is None:  # closed by the shell: >&-
        with Path(os.devnull).open("w", encoding="utf-8") as null, redirect_stdout(null):
            yield
        return
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # at exit, Python would print a traceback
    except OSError as error:
        if error.filename is not None:
            raise
        _discard_output()
        if not isinstance(error, BrokenPipeError):
            CommandError(f"standard output cannot be written: {error.strerror}", ExitCode.FAILED).show()
        raise SystemExit(ExitCode.FAILED) from None


def _discard_output() -> None:
    """Sends to the null device what is left in the buffer, which cannot be written either."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
