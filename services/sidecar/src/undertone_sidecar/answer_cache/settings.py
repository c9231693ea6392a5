"""The settings of the answer cache."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import click
from click.core import ParameterSource
from undertone_telemetry.options import IntegerRange, NumberRange

from undertone_sidecar.answer_cache.memory import MIN_BYTES
from undertone_sidecar.options import file_option, option

_PORT: Final = 6379
_SCHEMES: Final = {"redis": False, "rediss": True}


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """What the URL of a Redis says."""

    host: str
    port: int
    database: int
    username: str | None
    tls: bool


def redis_address(url: str) -> RedisAddress:
    """Reads redis://[USER@]HOST[:PORT][/DATABASE], or rediss:// for TLS.

    Raises:
        ValueError: The URL is invalid. The message does not contain a password.
    """
    form = "use redis://HOST:PORT/DATABASE, or rediss:// for TLS"
    try:
        parts = urlsplit(url)
        port = parts.port or _PORT
    except ValueError:
        # With one of these, a part of the URL can be a password.
        raise ValueError(f"{'the URL' if set(url) & set('@?#') else repr(url)} is invalid: {form}") from None
    if parts.password is not None:
        raise ValueError(
            "the URL contains a password, which process lists show: use --cache-redis-password-file or the environment "
            "variable UNDERTONE_CACHE_REDIS_PASSWORD"
        )
    if parts.query or parts.fragment:
        raise ValueError(f"the URL has a part after ? or #, which may be a password: {form}")
    database = parts.path.removeprefix("/") or "0"
    if parts.scheme not in _SCHEMES or not parts.hostname or not database.isdecimal():
        raise ValueError(f"{url!r} is invalid: {form}")
    username = unquote(parts.username) if parts.username else None
    return RedisAddress(parts.hostname, port, int(database), username, _SCHEMES[parts.scheme])


def _variable_only(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if parameter.name and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
        raise click.UsageError(
            f"{parameter.opts[0]} is no option, because process lists show options: set the environment variable "
            "UNDERTONE_CACHE_REDIS_PASSWORD, or use --cache-redis-password-file"
        )
    return value


def _seconds(help_text: str, **bounds: Any) -> Any:
    return option(help_text, NumberRange(**bounds), "SECONDS")


# Without slots: a class with two bases that both have slots is impossible.
@dataclass(frozen=True, kw_only=True)
class CacheSettings:
    """Settings of the answer cache. Times are in seconds."""

    cache_bytes: int = field(
        default=0,
        metadata=option(
            f"Memory for the answers of repeated texts: at least {MIN_BYTES}. They are answered without the model server. "
            "0 keeps no answers in memory.",
            IntegerRange(min=0),
            "BYTES",
        ),
    )
    cache_redis: str = field(
        default="",
        metadata=option(
            "Redis with the answers of repeated texts of all sidecars: redis://HOST:PORT/DATABASE, or rediss:// for TLS. "
            "No call fails because Redis is slow or absent.",
            metavar="URL",
        ),
    )
    cache_redis_password_file: Path | None = field(
        default=None,
        metadata=file_option(
            "File with the password of --cache-redis. It is read for each connection. "
            "Or set the environment variable UNDERTONE_CACHE_REDIS_PASSWORD."
        ),
    )
    cache_redis_password: str = field(
        default="", repr=False, metadata=option("Password of --cache-redis.", hidden=True, callback=_variable_only)
    )
    cache_redis_ca: Path | None = field(
        default=None,
        metadata=file_option(
            "CA certificates (PEM) that issue the certificate of --cache-redis. Default: those of the system."
        ),
    )
    cache_redis_cert: Path | None = field(
        default=None, metadata=file_option("Client certificate for --cache-redis (PEM). Needs --cache-redis-key.")
    )
    cache_redis_key: Path | None = field(
        default=None, metadata=file_option("Private key of --cache-redis-cert (PEM, without a password).")
    )
    cache_redis_ttl_seconds: float = field(
        default=604800.0, metadata=_seconds("Time after which Redis removes an answer.", min=1, max=315360000)
    )
    cache_redis_timeout_seconds: float = field(
        default=0.005,
        metadata=_seconds("Maximum time that a call waits for Redis. Its paragraphs are then scored.", min=0.0005, max=1),
    )

    def cache_problems(self) -> Iterator[str]:
        """What is wrong with the settings of the cache."""
        if 0 < self.cache_bytes < MIN_BYTES:
            yield f"--cache-bytes is {self.cache_bytes}: use at least {MIN_BYTES}, or 0 to keep no answers in memory"
        if not self.cache_redis:
            for name in ("password_file", "ca", "cert", "key", "ttl_seconds", "timeout_seconds"):
                if getattr(self, f"cache_redis_{name}") != getattr(CacheSettings, f"cache_redis_{name}"):
                    yield f"--cache-redis-{name.replace('_', '-')} is set without --cache-redis: set both, or none"
            return
        try:
            address = redis_address(self.cache_redis)
        except ValueError as error:
            yield f"--cache-redis: {error}"
            return
        yield from self._credential_problems(address)
        if (self.cache_redis_ca or self.cache_redis_cert) and not address.tls:
            yield "--cache-redis-ca and --cache-redis-cert need TLS: use rediss:// in --cache-redis"
        if bool(self.cache_redis_cert) != bool(self.cache_redis_key):
            yield "--cache-redis-cert and --cache-redis-key belong together: set both, or none"
        missing = False
        for name in ("password_file", "ca", "cert", "key"):
            path = getattr(self, f"cache_redis_{name}")
            if path and not path.is_file():
                missing = True
                yield f"--cache-redis-{name.replace('_', '-')} {path} is not a file: use the path of an existing file"
        if address.tls and not missing:
            yield from self._certificate_problems()

    def _certificate_problems(self) -> Iterator[str]:
        """Each connection reads the files again. Files that are broken at the start are refused."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.cache_redis_ca:
            try:
                context.load_verify_locations(self.cache_redis_ca)
            except OSError:
                yield (
                    f"--cache-redis-ca {self.cache_redis_ca} has no CA certificate: use a PEM file with the certificate of the "
                    "CA that issues the certificate of --cache-redis"
                )
        if self.cache_redis_cert and self.cache_redis_key:
            try:
                context.load_cert_chain(self.cache_redis_cert, self.cache_redis_key, password=lambda: b"")
            except OSError:
                yield (
                    f"--cache-redis-cert {self.cache_redis_cert} and --cache-redis-key {self.cache_redis_key} are not a "
                    "certificate and its private key: use PEM files that belong together, without a password"
                )

    def _credential_problems(self, address: RedisAddress) -> Iterator[str]:
        if self.cache_redis_password and self.cache_redis_password_file:
            yield "UNDERTONE_CACHE_REDIS_PASSWORD and --cache-redis-password-file exclude each other: set one of them"
        if address.username and not (self.cache_redis_password or self.cache_redis_password_file):
            yield f"--cache-redis has the user {address.username!r} without a password: set --cache-redis-password-file"
