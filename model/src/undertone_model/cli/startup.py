"""Importing TensorFlow without what it says about itself."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LOG_LEVEL: Final = "TF_CPP_MIN_LOG_LEVEL"


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Wraps imports of TensorFlow: what CPU it was built for, and the like, stays off standard error unless LOG_LEVEL is set.

    Some of it is said before TensorFlow reads that variable, so it can only be caught at the file descriptor.
    """
    if LOG_LEVEL in os.environ:
        yield
        return
    os.environ[LOG_LEVEL] = "2"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
