"""Versions of the model that could not be loaded, and when to try them again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from undertone_sidecar.errors import SidecarError

MAX_DELAY_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class _Failure:
    error: SidecarError
    delay: float
    due: float


class FailedVersions:
    """Remembers the last error of each version. The delay until the next attempt doubles with each
    failure, up to MAX_DELAY_SECONDS: an attempt reads the tokenizer and calls the model server,
    which has other calls to answer.
    """

    def __init__(self, first_delay: float, clock: Callable[[], float]) -> None:
        """`first_delay` and the time of `clock` are in seconds."""
        self._first_delay = first_delay
        self._clock = clock
        self._failures: dict[int, _Failure] = {}

    def postponed(self, version: int) -> SidecarError | None:
        """The last error of the version if its next attempt is not due, else None."""
        failure = self._failures.get(version)
        return failure.error if failure and self._clock() < failure.due else None

    def add(self, version: int, error: SidecarError) -> bool:
        """Records a failed attempt. Returns whether the error is new."""
        last = self._failures.get(version)
        delay = min(last.delay * 2, MAX_DELAY_SECONDS) if last else self._first_delay
        self._failures[version] = _Failure(error, delay, self._clock() + delay)
        return last is None or str(last.error) != str(error)

    def keep(self, versions: Iterable[int]) -> None:
        """Forgets all other versions. A version that the model server loads again is new."""
        kept = set(versions)
        self._failures = {version: failure for version, failure in self._failures.items() if version in kept}
