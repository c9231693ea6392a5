"""Async client of Undertone: scores one paragraph, a batch, or a stream of millions."""

from undertone_client.client import Client
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
from undertone_client.values import Failure, Model, Outcome, Paragraph, Policy, Score, ServedModel, ServiceLimits, Timings

__all__ = [
    "AccessDeniedError",
    "BreakerSettings",
    "BreakerState",
    "BudgetSettings",
    "CallCounts",
    "CallState",
    "CircuitOpenError",
    "Client",
    "ClientState",
    "DeadlineExceededError",
    "Failure",
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
    "Transport",
    "UnavailableError",
    "UndertoneError",
    "validate_target",
]
