"""Which gRPC status means what to which layer."""

import grpc

from undertone_client.resilience.mode import Mode

RETRIED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED})
"""Asking again is safe and may help. CANCELLED is the server's: gRPC servers send it for calls that they had not begun when
they shut down (grpc/grpc issue 41785). A cancellation by our own caller is an `asyncio.CancelledError` and no status at all."""

TRIPPING = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
"""What a circuit breaker counts: the service does not work. Any other status was sent by a service that is alive."""

OVERLOADING = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED})
"""What tells a limit that the service has too much to do."""

POISONED = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL})
"""A batch that fails like this as a whole may do so because of one paragraph."""


def retried(status: grpc.StatusCode, mode: Mode) -> bool:
    """Whether a call that failed with `status` is tried again; after a deadline only where nobody waits for the answer."""
    return status in RETRIED or (status is grpc.StatusCode.DEADLINE_EXCEEDED and mode is Mode.BATCH)
