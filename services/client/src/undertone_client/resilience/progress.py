"""What a call has been through: the one thing that its layers, its retries and its caller share."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from undertone_client.resilience.mode import Mode


@dataclass(slots=True)
class Progress:
    """One call of the client over all its attempts.

    Interceptors are given nothing but the request, so this travels beside it, in a context variable. A batch whose paragraphs
    are sent again in part is one call with one progress, though gRPC sees several.

    Args:
        mode: see `Mode`.
        deadline: when the call as a whole must be over, in seconds of the client's clock.
        attempts: times it was sent, hedges included.
        failures: attempts that failed or refused a part, hedges included; 0 again after a whole answer.
        strikes: failures that count against `RetryPolicy.attempts`.
        refusals: times that it was refused for want of room since a part of it was answered; see `Refusals`.
        refused_since: when that began, in seconds of the client's clock; None if it was not refused.
    """

    mode: Mode = Mode.BATCH
    deadline: float = math.inf
    attempts: int = 0
    failures: int = 0
    strikes: int = 0
    refusals: int = 0
    refused_since: float | None = None

    def again(self) -> "Progress":
        """That of a part of this call which is sent by itself: tried as often already, with no strikes yet."""
        return Progress(self.mode, self.deadline, self.attempts)


_current: ContextVar[Progress | None] = ContextVar("undertone_client_progress", default=None)


@contextmanager
def under_way(progress: Progress) -> Iterator[None]:
    """Calls that are started inside belong to `progress`."""
    token = _current.set(progress)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Progress:
    """The progress of the call that is being made; a new one for a call that did not come through the client."""
    return _current.get() or Progress()
