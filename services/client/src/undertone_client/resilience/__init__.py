"""What keeps a client going and its service standing: limits, circuit breaker, retries, hedging, counts."""

from undertone_client.resilience.aimd import Aimd
from undertone_client.resilience.breaker import BreakerSettings, BreakerState, CircuitBreaker, Permit
from undertone_client.resilience.budget import BudgetSettings, RetryBudget
from undertone_client.resilience.counts import CallCounts, Counts
from undertone_client.resilience.events import (
    AttemptFinished,
    BreakerChanged,
    Event,
    Hedged,
    LimitChanged,
    Listener,
    Opened,
    Recovered,
    Retried,
    Scored,
    Shed,
    Skipped,
)
from undertone_client.resilience.gradient import Gradient
from undertone_client.resilience.guard import BreakerGuard
from undertone_client.resilience.hedging import HedgeInterceptor, HedgingSettings
from undertone_client.resilience.interceptors import BreakerInterceptor, RetryInterceptor, SlotInterceptor
from undertone_client.resilience.limit import CallOutcome, Fixed, Limit
from undertone_client.resilience.limit_settings import Algorithm, LimitSettings
from undertone_client.resilience.mode import Mode
from undertone_client.resilience.progress import Progress, under_way
from undertone_client.resilience.refusals import Refusals
from undertone_client.resilience.retry import Retry, RetryPolicy
from undertone_client.resilience.slots import Slots
from undertone_client.resilience.workload import Workload

__all__ = [
    "Aimd",
    "Algorithm",
    "AttemptFinished",
    "BreakerChanged",
    "BreakerGuard",
    "BreakerInterceptor",
    "BreakerSettings",
    "BreakerState",
    "BudgetSettings",
    "CallCounts",
    "CallOutcome",
    "CircuitBreaker",
    "Counts",
    "Event",
    "Fixed",
    "Gradient",
    "HedgeInterceptor",
    "Hedged",
    "HedgingSettings",
    "Limit",
    "LimitChanged",
    "LimitSettings",
    "Listener",
    "Mode",
    "Opened",
    "Permit",
    "Progress",
    "Recovered",
    "Refusals",
    "Retried",
    "Retry",
    "RetryBudget",
    "RetryInterceptor",
    "RetryPolicy",
    "Scored",
    "Shed",
    "Skipped",
    "SlotInterceptor",
    "Slots",
    "Workload",
    "under_way",
]
