"""Async client of Undertone: emotions of one paragraph, of a batch, or of a stream of millions."""

from undertone_client.client import Client
from undertone_client.errors import (
    AccessDeniedError,
    DeadlineExceededError,
    InvalidParagraphError,
    NotUndertoneError,
    OverloadedError,
    ServiceError,
    ServiceFaultError,
    SettingsError,
    UnavailableError,
    UndertoneError,
)
from undertone_client.resilience import (
    Algorithm,
    BreakerSettings,
    BreakerState,
    BudgetSettings,
    CallCounts,
    HedgingSettings,
    LimitSettings,
    Mode,
    RetryPolicy,
)
from undertone_client.resilience.stack import ClientState
from undertone_client.settings import Settings, Tls
from undertone_client.values import Failure, Limits, Model, Outcome, Paragraph, Policy, Score, ServedModel, Timings

__all__ = [
    "AccessDeniedError",
    "Algorithm",
    "BreakerSettings",
    "BreakerState",
    "BudgetSettings",
    "CallCounts",
    "Client",
    "ClientState",
    "DeadlineExceededError",
    "Failure",
    "HedgingSettings",
    "InvalidParagraphError",
    "LimitSettings",
    "Limits",
    "Mode",
    "Model",
    "NotUndertoneError",
    "Outcome",
    "OverloadedError",
    "Paragraph",
    "Policy",
    "RetryPolicy",
    "Score",
    "ServedModel",
    "ServiceError",
    "ServiceFaultError",
    "Settings",
    "SettingsError",
    "Timings",
    "Tls",
    "UnavailableError",
    "UndertoneError",
]
