"""The first call of a job, which waits for a service that is not there yet."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from undertone_client.client import Client
from undertone_client.errors import ServiceError, TlsMismatchError, is_misconfigured, is_retryable
from undertone_client.jobs.tls_probe import explain_tls
from undertone_client.resilience import RetryPolicy
from undertone_client.settings import Settings
from undertone_client.transport import Mode
from undertone_client.values import ServedModel

WAITS = RetryPolicy(initial_seconds=0.25, max_seconds=2.0)
"""Waits between attempts. The maximum bounds the delay of the job after the service has become
ready."""
MIN_ATTEMPTS = 3
"""Number of attempts without patience, unless the service asks for a longer wait than the maximum
of WAITS."""
REPORT_SECONDS = 10.0
"""Interval of reports while the job waits."""

Report = Callable[[str], None]
"""Receives a line that says what the job waits for."""


async def wait_for_service(
    target: str,
    settings: Settings,
    report: Report,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> ServedModel:
    """The served model, as soon as the service answers.

    Waits up to `settings.breaker.patience_seconds` while the name of the service does not exist,
    connections are refused, or the service loads its model. Each attempt opens a new channel, which
    resolves the name again.

    Args:
        target: address of the service.
        settings: settings of the job's client.
        report: receives a line after the first failure, and every REPORT_SECONDS.
        clock: a monotonic clock, in seconds.
        sleep: sleeps for a number of seconds.

    Raises:
        ServiceError: the service did not answer in time, or waiting does not help: TLS, access, or
            another service at the target.
        SettingsError: the target or a certificate is invalid.
    """
    patience = settings.breaker.patience_seconds
    once = replace(settings, mode=Mode.ONLINE, retry=RetryPolicy(attempts=1), hedging=None, deadline_seconds=None)
    start, reported_at, attempts = clock(), None, 0
    while True:
        # An attempt that hangs must not take much longer than the patience.
        left = start + patience - clock()
        attempt = replace(once, timeout_seconds=min(once.timeout_seconds, max(left, 1.0)))
        attempts += 1
        try:
            async with Client(target, settings=attempt) as client:
                return await client.model()
        except ServiceError as error:
            if "Connection refused" not in error.reason:  # else the service does not listen yet
                explained = await explain_tls(error, target, tls=settings.tls is not None)
                if isinstance(explained, TlsMismatchError):
                    raise explained from None
            waited = clock() - start
            pause = max(WAITS.max_wait(attempts), error.pushback_seconds or 0.0)
            # The minimum of attempts must not make the job wait for a long pushback.
            has_attempts_left = attempts < MIN_ATTEMPTS and pause <= WAITS.max_seconds
            if (
                not is_retryable(error.status, Mode.BATCH)
                or is_misconfigured(error)
                or (waited + pause > patience and not has_attempts_left)
            ):
                error.attempts = attempts
                raise
            if waited + pause <= patience and (reported_at is None or clock() - reported_at >= REPORT_SECONDS):
                reported_at = clock()
                report(f"waiting for the service at {target}: {error.reason} ({waited:.0f} s of {patience:.0f} s)")
        await sleep(pause)
