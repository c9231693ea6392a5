"""Standard output of a command that may be full, closed or a pipe without a reader."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Final, NoReturn

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
    except OSError as error:
        if _is_writable():
            raise
        _exit(error, prefix)
    finally:
        try:
            sys.stdout.flush()  # at exit, Python would print a traceback
        except OSError as error:
            _exit(error, prefix)


def _is_writable() -> bool:
    """Whether one more character can be written. Tells errors of other files from those of this."""
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except (OSError, ValueError) as error:
        return isinstance(error, ValueError)  # not a file
    return True


def _exit(error: OSError, prefix: str) -> NoReturn:
    _discard_output()
    if not isinstance(error, BrokenPipeError):
        print(f"{prefix}: standard output cannot be written: {error.strerror}", file=sys.stderr)
    raise SystemExit(CANNOT_WRITE) from None


def _discard_output() -> None:
    """Sends to the null device what is left in the buffer, which cannot be written either."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
