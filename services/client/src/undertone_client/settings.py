"""How a client behaves: one frozen object, checked as a whole."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from undertone_client.errors import SettingsError
from undertone_client.resilience.breaker import BreakerSettings
from undertone_client.resilience.budget import BudgetSettings
from undertone_client.resilience.hedging import HedgingSettings
from undertone_client.resilience.limit_settings import LimitSettings
from undertone_client.resilience.mode import Mode
from undertone_client.resilience.retry import RetryPolicy

DEFAULT_TARGET = "localhost:50051"
_PORT = re.compile(r":(\d+)$")


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS towards the service. `ca_file` holds the trusted roots in PEM form; without it, the system's roots are trusted.

    `cert_file` and `key_file` are the client's own certificate and key, for services that ask for one.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise SettingsError("a client certificate needs its key, and a key its certificate; give both or neither")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a `Client`. The defaults suit one service on the same network.

    timeout_seconds: deadline of one attempt; a retry gets a new one.
    deadline_seconds: deadline of a call as a whole: all its attempts, and all waiting before and between them. None is none.
    mode: see `Mode`. None suits the method: a single paragraph and the model are asked for online, batches and streams are not.
    retry, budget: how often a call is tried again, and how much of all that a client does may be retries.
    hedging: for calls of `Mode.ONLINE`; None does not hedge.
    breaker: the circuit breaker that all calls share.
    limit: how many attempts may be in flight.
    batch_items, batch_characters: bounds of one call; the service's own limits count where they are smaller. A paragraph
        with more characters than that travels alone.
    lookahead_items, lookahead_characters: how much `score` holds at once: waiting to be sent, in flight, or waiting for
        its turn. The more, the better paragraphs of like length find each other, and the more memory is used; it also bounds
        how many calls can be under way.
    tls: None speaks plaintext.
    """

    timeout_seconds: float = 30.0
    deadline_seconds: float | None = None
    mode: Mode | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    hedging: HedgingSettings | None = None
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    limit: LimitSettings = field(default_factory=LimitSettings)
    batch_items: int = 32
    batch_characters: int = 64_000
    lookahead_items: int = 8192
    lookahead_characters: int = 8_000_000
    tls: Tls | None = None

    def __post_init__(self) -> None:
        if not self.timeout_seconds > 0:
            raise SettingsError(f"timeout_seconds is {self.timeout_seconds}; it must be more than 0")
        if self.deadline_seconds is not None and not self.deadline_seconds > 0:
            raise SettingsError(f"deadline_seconds is {self.deadline_seconds}; it must be more than 0, or None")
        for name in ("batch_items", "batch_characters", "lookahead_items", "lookahead_characters"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.lookahead_items < self.batch_items:
            raise SettingsError(
                f"lookahead_items {self.lookahead_items} is less than batch_items {self.batch_items}: no call could be full"
            )


def checked_target(target: str) -> str:
    """`target` itself, if it can be a gRPC target: `host:port`, `dns:///host:port`, `unix:/path`.

    Raises:
        SettingsError: it is empty, holds white space, is a web address, or has a port that there cannot be.
    """
    if not target or any(character.isspace() for character in target):
        raise SettingsError(f"target {target!r} is no address; give host:port, such as {DEFAULT_TARGET}")
    scheme, separator, address = target.partition("://")
    if separator and scheme.lower() in {"http", "https", "grpc", "grpcs"}:
        raise SettingsError(f"target {target!r} has a scheme; give {address.rstrip('/')!r} (TLS is a setting of its own)")
    port = None if target.startswith(("unix:", "vsock:")) else _PORT.search(target)
    if port is not None and not 1 <= int(port[1]) <= 65535:  # gRPC would take the rest of a division by 65536
        raise SettingsError(f"target {target!r} has the port {port[1]}; give one from 1 to 65535")
    return target
