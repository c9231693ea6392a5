"""The layers that protect a client and its service, and their events."""

from undertone_client.resilience.breaker import BreakerSettings
from undertone_client.resilience.counts import CallCounts
from undertone_client.resilience.events import (
    AttemptFinished,
    AttemptShed,
    BreakerChanged,
    BreakerState,
    CallRecovered,
    ClientOpened,
    Event,
    HedgeSent,
    LimitChanged,
    Listener,
    ParagraphsFailed,
    ParagraphsScored,
    RetryScheduled,
)
from undertone_client.resilience.hedging import HedgingSettings
from undertone_client.resilience.limit import LimitAlgorithm, LimitSettings
from undertone_client.resilience.retry import BudgetSettings, RetryPolicy

__all__ = [
    "AttemptFinished",
    "AttemptShed",
    "BreakerChanged",
    "BreakerSettings",
    "BreakerState",
    "BudgetSettings",
    "CallCounts",
    "CallRecovered",
    "ClientOpened",
    "Event",
    "HedgeSent",
    "HedgingSettings",
    "LimitAlgorithm",
    "LimitChanged",
    "LimitSettings",
    "Listener",
    "ParagraphsFailed",
    "ParagraphsScored",
    "RetryPolicy",
    "RetryScheduled",
]
