"""Import of TensorFlow without its messages on standard error."""

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Final

from undertone_telemetry.standard_error import silent_standard_error

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
    with silent_standard_error():
        yield
