"""Client of Undertone: scores one paragraph, a batch, or a stream of millions.

This package has the client for asyncio. `undertone_client.sync` has the synchronous one.
"""

from undertone_client.client import Client
from undertone_client.credentials import Credentials
from undertone_client.errors import (
    AccessDeniedError,
    CircuitOpenError,
    DeadlineExceededError,
    InvalidParagraphError,
    NotUndertoneError,
    OverloadedError,
    ServiceError,
    ServiceFaultError,
    SettingsError,
    TlsMismatchError,
    UnavailableError,
    UndertoneError,
)
from undertone_client.resilience import (
    BreakerSettings,
    BreakerState,
    BudgetSettings,
    CallCounts,
    HedgingSettings,
    LimitAlgorithm,
    LimitSettings,
    RetryPolicy,
)
from undertone_client.resilience.resilient_transport import ClientState
from undertone_client.settings import Settings, Tls, validate_target
from undertone_client.transport import CallState, Mode, Reply, Request, Transport
from undertone_client.values import (
    MAX_ID_CHARACTERS,
    Failure,
    Flag,
    Model,
    Outcome,
    Paragraph,
    Policy,
    ProblemType,
    Score,
    ServedModel,
    ServiceLimits,
    Timings,
)

__all__ = [
    "MAX_ID_CHARACTERS",
    "AccessDeniedError",
    "BreakerSettings",
    "BreakerState",
    "BudgetSettings",
    "CallCounts",
    "CallState",
    "CircuitOpenError",
    "Client",
    "ClientState",
    "Credentials",
    "DeadlineExceededError",
    "Failure",
    "Flag",
    "HedgingSettings",
    "InvalidParagraphError",
    "LimitAlgorithm",
    "LimitSettings",
    "Mode",
    "Model",
    "NotUndertoneError",
    "Outcome",
    "OverloadedError",
    "Paragraph",
    "Policy",
    "ProblemType",
    "Reply",
    "Request",
    "RetryPolicy",
    "Score",
    "ServedModel",
    "ServiceError",
    "ServiceFaultError",
    "ServiceLimits",
    "Settings",
    "SettingsError",
    "Timings",
    "Tls",
    "TlsMismatchError",
    "Transport",
    "UnavailableError",
    "UndertoneError",
    "validate_target",
]
