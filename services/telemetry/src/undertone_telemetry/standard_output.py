"""Standard output of a command that may be full, closed or a pipe without a reader."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Final

CANNOT_WRITE: Final = 1
"""Exit code if standard output cannot be written."""


@contextmanager
def optional_output() -> Iterator[None]:
    """Ignores errors of standard output, for text that is not the result of the command."""
    try:
        yield
        sys.stdout.flush()
    except OSError:
        _discard_output()


@contextmanager
def checked_standard_output(prefix: str = "Error") -> Iterator[None]:
    """Turns an error of standard output into a message and exit code 1.

    A reader that ends early, such as `head`, is no error: the command ends with exit code 1 and
    without a message, as other programs do. All other errors are raised.

    Args:
        prefix: what precedes the message, such as the name of the command.

    Raises:
        SystemExit: standard output cannot be written.
    """
    if sys.stdout is None:  # closed by the shell: >&-
        with Path(os.devnull).open("w", encoding="utf-8") as null, redirect_stdout(null):
            yield
        return
    try:
        yield
    finally:
        # At exit, Python would print a traceback. What could not be written is still in the buffer,
        # so that this also finds an error of an earlier write.
        try:
            sys.stdout.flush()
        except OSError as error:
            _discard_output()
            if not isinstance(error, BrokenPipeError):
                print(f"{prefix}: standard output cannot be written: {error.strerror}", file=sys.stderr)
            raise SystemExit(CANNOT_WRITE) from None


def _discard_output() -> None:
    """Sends to the null device what is left in the buffer, which cannot be written either."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
