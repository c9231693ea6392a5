"""States of a version, and how failed loads are retried."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from undertone_dev_server.errors import LoadError
from undertone_dev_server.servable import Servable


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


class State(IntEnum):
    """State of a version, with the numbers of TF Serving's ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """Status of a version in GetModelStatus. `error` is set if the version could not be loaded."""

    version: int
    state: State
    error: LoadError | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A version that stays loaded during a call."""

    version: int
    servable: Servable


@dataclass(frozen=True, slots=True)
class Retries:
    """A failed load is retried `count` times, after `seconds` each. `pause` waits for a number of
    seconds, and returns True if the server stops.
    """

    count: int = 5
    seconds: float = 60.0
    pause: Callable[[float], bool] = _sleep
