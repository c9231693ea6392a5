"""Import of TensorFlow without its messages on standard error."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LOG_LEVEL: Final = "TF_CPP_MIN_LOG_LEVEL"


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Suppresses TensorFlow's messages while it is imported, unless LOG_LEVEL is set.

    TensorFlow writes some messages before it reads that variable, so the file descriptor is
    redirected.
    """
    if LOG_LEVEL in os.environ:
        yield
        return
    os.environ[LOG_LEVEL] = "2"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    stderr_copy = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as devnull:
            os.dup2(devnull.fileno(), 2)
        yield
    finally:
        os.dup2(stderr_copy, 2)
        os.close(stderr_copy)
