"""The layers around every attempt, as gRPC client interceptors: retry( breaker( slot( call ))).

Backoff holds no slot, and each attempt passes the circuit breaker and takes a slot and a latency sample of its own. Below the
first, no layer swallows anything: a failure travels upwards as the `AioRpcError` that gRPC raised, a cancellation by the
caller as `asyncio.CancelledError`.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import grpc

from undertone_client.errors import pushback_seconds
from undertone_client.resilience.calls import Call, Continuation, Details, answered, method_name
from undertone_client.resilience.events import AttemptFinished, Listener, Recovered, Retried, Shed
from undertone_client.resilience.guard import BreakerGuard
from undertone_client.resilience.limit import CallOutcome
from undertone_client.resilience.progress import current, under_way
from undertone_client.resilience.retry import Retry
from undertone_client.resilience.slots import Slots
from undertone_client.resilience.statuses import OVERLOADING, TRIPPING

Refused = Callable[[Any], grpc.StatusCode | None]


class CircuitOpenError(grpc.aio.AioRpcError):
    """An attempt that was not sent, because the circuit breaker lets nothing through: UNAVAILABLE to the caller."""

    def __init__(self) -> None:
        super().__init__(
            grpc.StatusCode.UNAVAILABLE,
            grpc.aio.Metadata(),
            grpc.aio.Metadata(),
            details="the circuit breaker is open: the last calls failed, and this one was not sent",
        )


class RetryInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """Makes a call until it is answered, fails for good, or is not to be tried again.

    Args:
        retry: decides.
        refused: see `SlotInterceptor`; whoever sends those parts again does so with the same `Progress`.
        emit: hears of retries, and of failures that nobody will see.
    """

    def __init__(self, retry: Retry, refused: Refused, emit: Listener) -> None:
        self._retry = retry
        self._refused = refused
        self._emit = emit

    async def intercept_unary_unary(self, continuation: Continuation, client_call_details: Details, request: Any) -> Call:
        """The first answer; raises the failure of the last attempt."""
        progress = current()
        while True:
            try:
                with under_way(progress):  # the layers below are to find the same, whoever makes the call
                    call = await answered(continuation, client_call_details, request)
            except CircuitOpenError:
                raise  # says nothing new of the service, so it costs no budget either
            except grpc.aio.AioRpcError as error:
                status = error.code()
                wait = self._retry.wait(status, pushback_seconds(error.trailing_metadata()), progress)
                if wait is None:
                    raise
            else:
                self._retry.succeeded()
                if self._refused(await call) is None:
                    self._retry.advanced(progress)
                    if progress.failures:
                        self._emit(Recovered(method_name(client_call_details), progress.failures))
                        progress.failures = 0
                return call
            self._emit(Retried(method_name(client_call_details), status, progress.attempts + 1, wait))
            await self._retry.pause(wait)


class BreakerInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """Passes the circuit breaker, waiting or turned away as the call's `Mode` has it, and reports to it."""

    def __init__(self, guard: BreakerGuard, emit: Listener) -> None:
        self._guard = guard
        self._emit = emit

    async def intercept_unary_unary(self, continuation: Continuation, client_call_details: Details, request: Any) -> Call:
        """The answer; raises CircuitOpenError if the breaker lets nothing through."""
        permit = await self._guard.enter(current().mode)
        if permit is None:
            self._emit(Shed(method_name(client_call_details)))
            raise CircuitOpenError
        worked: bool | None = None
        try:
            call = await answered(continuation, client_call_details, request)
            worked = True
        except grpc.aio.AioRpcError as error:
            worked = error.code() not in TRIPPING
            raise
        finally:
            self._guard.leave(permit, worked=worked)
        return call


class SlotInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """Takes a slot for each attempt and measures it.

    Args:
        slots: the slots.
        refused: the status with which a reply asks to send parts of its request again; None if it does not.
        emit: hears of each attempt.
        clock: seconds that never go back.
    """

    def __init__(self, slots: Slots, refused: Refused, emit: Listener, clock: Callable[[], float]) -> None:
        self._slots = slots
        self._refused = refused
        self._emit = emit
        self._clock = clock

    async def intercept_unary_unary(self, continuation: Continuation, client_call_details: Details, request: Any) -> Call:
        """The answer, whatever its parts say; raises as gRPC does."""
        asked = self._clock()
        await self._slots.acquire()
        began = self._clock()
        progress = current()
        progress.attempts += 1
        details = _within(client_call_details, progress.deadline - began)
        status, refused, cancelled = grpc.StatusCode.OK, None, False
        try:
            call = await answered(continuation, details, request)
            refused = self._refused(await call)
        except grpc.aio.AioRpcError as error:
            status = error.code()
            raise
        except BaseException as error:
            status, cancelled = grpc.StatusCode.CANCELLED, isinstance(error, asyncio.CancelledError)
            raise
        finally:
            if not cancelled and (status is not grpc.StatusCode.OK or refused is not None):
                progress.failures += 1
            seconds = self._clock() - began
            self._slots.release(seconds, request.ByteSize(), _outcome(status, refused))
            name = method_name(client_call_details)
            self._emit(AttemptFinished(name, status, seconds, began - asked, refused, cancelled))
        return call


def _within(details: Details, seconds: float) -> Details:
    """The details of a call that must not go on for longer; its own deadline counts if it is sooner."""
    if seconds == math.inf or (details.timeout is not None and details.timeout <= seconds):
        return details
    return Details(details.method, max(0.0, seconds), details.metadata, details.credentials, details.wait_for_ready)


def _outcome(status: grpc.StatusCode, refused: grpc.StatusCode | None) -> CallOutcome:
    if status in OVERLOADING or refused is not None:
        return CallOutcome.OVERLOAD
    return CallOutcome.OK if status is grpc.StatusCode.OK else CallOutcome.IGNORE
