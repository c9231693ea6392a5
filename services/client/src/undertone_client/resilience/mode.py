"""Who waits for an answer."""

import enum


class Mode(enum.StrEnum):
    """What matters to a caller while the service does not work."""

    BATCH = "batch"
    """That nothing is lost: calls wait for the circuit breaker to close, and are tried again after a deadline too."""
    ONLINE = "online"
    """To know at once: calls fail while the circuit breaker is open, and a deadline that has passed is final."""
