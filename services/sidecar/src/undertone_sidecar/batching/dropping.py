"""Drops queued requests that need no result, or would be too late."""

from collections.abc import Callable, Sequence

from undertone_sidecar.batching.deadlines import Deadlines
from undertone_sidecar.batching.request import Request
from undertone_sidecar.batching.slots import Slots
from undertone_sidecar.events import Listener, RequestDropped


class Dropping:
    """Decides which queued requests may still be sent, and fails those that may not."""

    def __init__(
        self,
        deadlines: Deadlines,
        slots: Slots,
        *,
        clock: Callable[[], float],
        listener: Listener,
        jitter: Callable[[], float],
    ) -> None:
        """See MicroBatcher."""
        self._deadlines = deadlines
        self._slots = slots
        self._clock = clock
        self._listener = listener
        self._jitter = jitter

    def _reason(self) -> Callable[[Request], str | None]:
        """A function that returns why a request may not be sent, now or later. None if it may."""
        now = self._clock()
        starts, idle_seconds = self._slots.starts(now), self._slots.idle_seconds(now)
        return lambda request: self._deadlines.reason_to_drop(request, now, starts=starts, idle_seconds=idle_seconds)

    def keep_or_drop(self) -> Callable[[Request], bool]:
        """A function that returns whether a request may still be sent.

        If not, the function reports the request, and fails it if it has no result.
        """
        now, reason_of = self._clock(), self._reason()

        def may_be_sent(request: Request) -> bool:
            reason = reason_of(request)
            if reason is None:
                return True
            if not request.result.done():
                request.result.set_exception(self._deadlines.drop_error(request, reason, now, jitter=self._jitter()))
            self._listener(RequestDropped(request.lane.value, reason, now - request.enqueued_at, request.span))
            return False

        return may_be_sent

    def all_wanted(self, requests: Sequence[Request]) -> bool:
        """Whether all requests may still be sent."""
        reason_of = self._reason()
        return all(reason_of(request) is None for request in requests)
