"""Settings of a client: one frozen object, validated as a whole."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from undertone_protos.unix_address import unix_address_problem

from undertone_client.credentials import Credentials
from undertone_client.errors import SettingsError
from undertone_client.resilience.breaker import BreakerSettings
from undertone_client.resilience.hedging import HedgingSettings
from undertone_client.resilience.limit import LimitSettings
from undertone_client.resilience.retry import BudgetSettings, RetryPolicy
from undertone_client.transport import Mode

DEFAULT_TARGET = "localhost:50051"
_DEFAULT_PORT = ":50051"
_METADATA_KEY = re.compile(r"[a-z0-9_.-]+")
_PORT = re.compile(r":(\d+)$")
_SCHEMES_WITHOUT_PORT = ("unix:", "unix-abstract:", "vsock:", "xds:", "google-c2p:")


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS to the service.

    Args:
        ca_file: trusted root certificates (PEM). None trusts the system's roots.
        cert_file, key_file: the client's certificate and private key (PEM), for services that
            require them.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise SettingsError("cert_file and key_file belong together: set both or neither")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a `Client`. The defaults suit a service on the same network.

    Args:
        timeout_seconds: deadline of one attempt. A retry gets a new one.
        deadline_seconds: deadline of a whole call: all attempts, and the waits before and between
            them. None for no deadline.
        mode: see `Mode`. None chooses by method: ONLINE for single paragraphs and the model, BATCH
            for batches and streams.
        retry: see `RetryPolicy`.
        budget: see `BudgetSettings`.
        hedging: hedging of calls of `Mode.ONLINE`. None disables it.
        breaker: see `BreakerSettings`.
        limit: see `LimitSettings`.
        batch_items: the largest number of paragraphs in a call. A smaller limit of the service
            takes precedence.
        batch_characters: the largest number of characters in a call. A longer paragraph is sent
            alone.
        lookahead_items, lookahead_characters: the largest number of paragraphs and characters that
            `score` holds: queued, in flight, or finished but not yet yielded. With larger values,
            calls have paragraphs of more similar length and the client uses more memory.
            These values also bound the number of calls in flight.
        tls: None uses plaintext.
        credentials: None sends no credentials. They are secret, so use TLS outside a cluster.
        metadata: further metadata of each call, as keys and values in ASCII. For example,
            ("undertone-model", "canary") asks Envoy for the canary of the chart.

    Raises:
        SettingsError: a value is invalid.
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
    credentials: Credentials | None = None
    metadata: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for key, value in self.metadata:
            if not _METADATA_KEY.fullmatch(key) or key.endswith("-bin") or not (value.isascii() and value.isprintable()):
                raise SettingsError(f"metadata {key}={value!r} is invalid: use a key of a-z, 0-9, '-', '_' and '.', and ASCII")
        if self.tls is not None and not isinstance(self.tls, Tls):
            raise SettingsError(f"tls is {self.tls!r}; use Tls() for TLS, or None for plaintext")
        if not 0 < self.timeout_seconds < math.inf:
            raise SettingsError(f"timeout_seconds is {self.timeout_seconds}; it must be more than 0, and finite")
        if self.deadline_seconds is not None and not self.deadline_seconds > 0:
            raise SettingsError(f"deadline_seconds is {self.deadline_seconds}; it must be more than 0, or None")
        for name in ("batch_items", "batch_characters", "lookahead_items", "lookahead_characters"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.lookahead_items < self.batch_items:
            raise SettingsError(
                f"lookahead_items is {self.lookahead_items}; it must be at least batch_items, which is {self.batch_items}"
            )


def validate_target(target: str) -> str:
    """Return `target` if it is valid: `host:port`, `dns:///host:port`, `unix:/path`.

    Raises:
        SettingsError: the target is empty, contains white space, has a URL scheme, or has no port
            or an invalid one.
    """
    if not target or any(character.isspace() for character in target):
        raise SettingsError(f"target {target!r} is invalid: give host:port, such as {DEFAULT_TARGET}")
    scheme, separator, address = target.partition("://")
    if separator and scheme.lower() in {"http", "https", "grpc", "grpcs"}:
        raise SettingsError(f"target {target!r} has a URL scheme: give {address.rstrip('/')!r} (TLS is a separate setting)")
    if problem := unix_address_problem(target):
        raise SettingsError(f"target {target!r} is invalid: {problem}")
    if target.startswith(_SCHEMES_WITHOUT_PORT):
        return target
    port = _PORT.search(target)
    host = target.rpartition("/")[2]
    if host.count(":") > 1 and "[" not in host and not host.startswith(("dns:", "ipv4:")):
        raise SettingsError(f"target {target!r} is invalid: write an address of IPv6 in brackets, such as [::1]:50051")
    if port is None:  # gRPC would silently use port 443
        raise SettingsError(f"target {target!r} has no port: add it, such as {target.rstrip(':')}{_DEFAULT_PORT}")
    if not 1 <= int(port[1]) <= 65535:  # gRPC would silently use the port modulo 65536
        raise SettingsError(f"target {target!r} has the port {port[1]}; give one from 1 to 65535")
    return target
