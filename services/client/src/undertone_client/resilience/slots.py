"""Enforces the concurrency limit with slots, and normalizes the latencies that it learns from."""

import asyncio
from collections import deque
from collections.abc import Callable

import grpc

from undertone_client.errors import OVERLOAD, ServiceError
from undertone_client.resilience.events import AttemptFinished, LimitChanged, Listener
from undertone_client.resilience.limit import AttemptOutcome, Limit
from undertone_client.transport import CallState, Reply, Request, Transport


class LatencyNormalizer:
    """Removes the part of a call's latency that the size of its request explains.

    A long paragraph then does not look like congestion.

    The model is latency = a + b * size, fitted to recent samples by exponentially weighted least
    squares. Only the share of a mean call's latency that its size explains is used: b * mean size /
    mean latency. A queue delays small and large calls alike, so congestion stays visible. The size
    is that of the request in bytes.
    """

    NEWEST_WEIGHT = 0.005
    """Weight of the newest sample. About 200 samples are remembered."""
    MIN_FACTOR = 0.05
    """Smallest expected latency of a call, as a multiple of a mean call's."""

    def __init__(self) -> None:
        self._weight = 0.0
        self._mean_size = self._mean_seconds = 0.0
        self._size_variance = self._covariance = 0.0

    def normalize(self, seconds: float, size: float) -> float:
        """The latency that a call of mean size would have had. Adds the sample to the fit."""
        self._fit(seconds, size)
        return seconds / max(self.MIN_FACTOR, 1 + self._size_share * (size / self._mean_size - 1))

    @property
    def _size_share(self) -> float:
        if self._size_variance <= 1e-6 * self._mean_size**2 or self._mean_seconds == 0:
            return 1.0  # all calls have one size, so there is nothing to remove
        return min(1.0, max(0.0, self._covariance / self._size_variance * self._mean_size / self._mean_seconds))

    def _fit(self, seconds: float, size: float) -> None:
        self._weight += self.NEWEST_WEIGHT * (1 - self._weight)
        step = self.NEWEST_WEIGHT / self._weight  # a plain mean at first, so that the first sample does not dominate
        size_error, seconds_error = size - self._mean_size, seconds - self._mean_seconds
        self._mean_size += step * size_error
        self._mean_seconds += step * seconds_error
        self._size_variance = (1 - step) * (self._size_variance + step * size_error**2)
        self._covariance = (1 - step) * (self._covariance + step * size_error * seconds_error)


class Slots:
    """As many slots as the limit allows. Attempts without a slot wait in FIFO order.

    Args:
        limit: the algorithm.
        emit: receives `LimitChanged`.
    """

    def __init__(self, limit: Limit, emit: Listener) -> None:
        self._limit = limit
        self._emit = emit
        self._normalizer = LatencyNormalizer()
        self._in_flight = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def in_flight(self) -> int:
        """Number of slots in use. Temporarily above the limit after the limit has shrunk."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Number of attempts that wait for a slot."""
        return len(self._waiters)

    @property
    def limit(self) -> int:
        """Number of slots."""
        return self._limit.value

    async def acquire(self) -> None:
        """Wait for a slot and take it."""
        if self._in_flight < self._limit.value and not self._waiters:
            self._in_flight += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # the slot was assigned in the same loop iteration
                self._return_slot()
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def release(self, seconds: float, size: int, outcome: AttemptOutcome) -> None:
        """Return the slot of an attempt.

        Args:
            seconds: duration of the attempt.
            size: size of its request in bytes. The latency of an empty request is ignored.
            outcome: how it ended.
        """
        if outcome is AttemptOutcome.OK and size == 0:
            outcome = AttemptOutcome.IGNORE
        rtt = self._normalizer.normalize(seconds, size) if outcome is AttemptOutcome.OK else seconds
        before = self._limit.value
        value = self._limit.observe(rtt, self._in_flight, outcome)
        self._return_slot()
        if value != before:
            self._emit(LimitChanged(value, before))

    def _return_slot(self) -> None:
        self._in_flight -= 1
        while self._waiters and self._in_flight < self._limit.value:
            waiter = self._waiters.popleft()
            if not waiter.cancelled():  # its task may not have run since the cancellation
                self._in_flight += 1
                waiter.set_result(None)


class SlotTransport:
    """Takes a slot for each attempt, counts the attempt, and measures it.

    Args:
        inner: sends the attempt.
        slots: the slots.
        emit: receives `AttemptFinished`.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, inner: Transport, slots: Slots, emit: Listener, clock: Callable[[], float]) -> None:
        self._inner = inner
        self._slots = slots
        self._emit = emit
        self._clock = clock

    async def send(self, request: Request, call: CallState) -> Reply:
        """See `Transport`."""
        queued_at = self._clock()
        await self._slots.acquire()
        sent_at = self._clock()
        call.attempts += 1
        status, refused_status, cancelled = grpc.StatusCode.OK, None, False
        try:
            reply = await self._inner.send(request, call)
            refused_status = reply.refused_status
        except ServiceError as error:
            status = error.status
            raise
        except BaseException as error:
            status, cancelled = grpc.StatusCode.CANCELLED, isinstance(error, asyncio.CancelledError)
            raise
        finally:
            if not cancelled and (status is not grpc.StatusCode.OK or refused_status is not None):
                call.unrecovered_failures += 1
            seconds = self._clock() - sent_at
            self._slots.release(seconds, request.message.ByteSize(), _outcome(status, refused_status))
            self._emit(AttemptFinished(request.method, status, seconds, sent_at - queued_at, refused_status, cancelled))
        return reply


def _outcome(status: grpc.StatusCode, refused_status: grpc.StatusCode | None) -> AttemptOutcome:
    if status in OVERLOAD or refused_status is not None:
        return AttemptOutcome.OVERLOAD
    return AttemptOutcome.OK if status is grpc.StatusCode.OK else AttemptOutcome.IGNORE
