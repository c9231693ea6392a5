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
from undertone_client.retry import RetryPolicy
from undertone_client.settings import Settings, Tls
from undertone_client.values import Failure, Limits, Model, Outcome, Paragraph, Policy, Score, ServedModel, Timings

__all__ = [
    "AccessDeniedError",
    "Client",
    "DeadlineExceededError",
    "Failure",
    "InvalidParagraphError",
    "Limits",
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
