"""Standard error of a process, which libraries of C++ write to without Python."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def silent_standard_error() -> Iterator[None]:
    """Discards what the process writes to its file descriptor 2, also outside of Python."""
    copy = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as null:
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(copy, 2)
        os.close(copy)
