"""Suspects: single paragraphs whose calls fail as if the service were down.

A suspect is sent in turn with control calls, which have a harmless text. Control calls that succeed
while the suspect fails again and again show that the suspect is the cause, and not an outage.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable

import grpc

from undertone_client.errors import ServiceError
from undertone_client.values import Paragraph

CONTROL = Paragraph("This sentence shows that the service works.")
"""The text of control calls. They pass the same components as the suspect, up to the model."""
MIN_CONTROLS = 3
MAX_CONTROLS = 6
"""Control calls before each attempt of the suspect. The number is random. With a fixed number, a
round-robin balancer could send the suspect to a dead pod each time."""
ROUNDS = 5
"""Consecutive rounds with successful control calls and a failed suspect that prove the cause."""
MAX_ROUNDS = 16
"""Rounds after which the suspect fails without proof, because control calls fail, too."""


class Health(enum.Enum):
    """The result of the control calls of a round."""

    STEADY = "steady"
    """All succeeded at their first attempt, after the service had recovered."""
    UNSTEADY = "unsteady"
    """Some attempts failed after the service had recovered: a suspect may fail by chance, too."""
    DOWN = "down"
    """A control call had no success within the patience of the client."""


SendControl = Callable[[], Awaitable[int | None]]
"""Sends a control call. Returns its number of attempts; None if it failed."""


class Suspects:
    """The state that all batches of a client share.

    Args:
        random: uniform random numbers from 0 to 1.

    Attributes:
        lock: held by the batch that isolates its paragraphs. A paragraph that crashes the service
            also fails the calls beside it. Without the lock, two suspects could prove each other.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self.lock = asyncio.Lock()

    async def check_health(self, send_control: SendControl) -> Health:
        """Send the control calls of a round. The first one waits until the service recovers."""
        health = Health.STEADY
        for index in range(MIN_CONTROLS + int(self._random() * (MAX_CONTROLS - MIN_CONTROLS + 1))):
            attempts = await send_control()
            if attempts is None:
                return Health.DOWN
            if index > 0 and attempts > 1:
                health = Health.UNSTEADY
        return health


def verdict(error: ServiceError) -> tuple[grpc.StatusCode, str]:
    """Status and reason of a suspect that is the cause, from the error of its last attempt.

    UNAVAILABLE would say that the service is down.
    """
    status = error.status if error.status is grpc.StatusCode.DEADLINE_EXCEEDED else grpc.StatusCode.INTERNAL
    reason = f"the service failed {ROUNDS} times on this paragraph alone, and scored other text before each time"
    return status, f"{reason} (the last time with {error.status.name}: {error.reason})"
