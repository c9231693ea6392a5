"""A client of Redis for the settings of the answer cache."""

from collections.abc import Mapping
from pathlib import Path
from ssl import TLSVersion
from typing import Any, Final

from redis.asyncio import Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

from undertone_sidecar.answer_cache.settings import CacheSettings, redis_address

LONGEST_COMMAND_SECONDS: Final = 1.0
"""Time after which a connection without an answer is closed. Calls wait only milliseconds."""


class _Password(CredentialProvider):
    """Reads the password for each connection, so that a changed file needs no restart."""

    def __init__(self, username: str | None, password: str, file: Path | None) -> None:
        self._username = username
        self._password = password
        self._file = file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._file.read_text("utf-8").strip() if self._file else self._password
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


class _Tls(SSLConnection):
    """Reads the certificates for each connection, so that changed files need no restart."""

    def _connection_arguments(self) -> Mapping[str, Any]:
        self.ssl_context.context = None
        return super()._connection_arguments()


def redis_client(settings: CacheSettings) -> Redis:
    """A client with one connection, which it opens at the first command. It repeats no command."""
    address = redis_address(settings.cache_redis)
    provider = None
    if settings.cache_redis_password or settings.cache_redis_password_file:
        provider = _Password(address.username, settings.cache_redis_password, settings.cache_redis_password_file)
    client = Redis(
        host=address.host,
        port=address.port,
        db=address.database,
        credential_provider=provider,
        ssl=address.tls,
        ssl_ca_certs=_path(settings.cache_redis_ca),
        ssl_certfile=_path(settings.cache_redis_cert),
        ssl_keyfile=_path(settings.cache_redis_key),
        ssl_min_version=TLSVersion.TLSv1_2 if address.tls else None,
        single_connection_client=True,
        socket_timeout=LONGEST_COMMAND_SECONDS,
        socket_connect_timeout=LONGEST_COMMAND_SECONDS,
        retry=Retry(NoBackoff(), 0),
        # The third version of the protocol adds nothing here, and announces maintenance.
        protocol=2,
    )
    if address.tls:
        client.connection_pool.connection_class = _Tls
    return client


def error_text(error: Exception) -> str:
    """An error of a command without the arguments of the command.

    Redis repeats them for a command that it does not know: those of AUTH are the password.
    """
    return f"{type(error).__name__}: {error}".partition(", with args")[0]


def _path(path: Path | None) -> str | None:
    return str(path) if path else None
