"""Finds out whether only one side of a connection uses TLS.

gRPC reports this as "Socket closed", or reports another address of the name, which refuses
connections. Neither message names the cause.
"""

import asyncio
import re
import ssl
from typing import Final

from undertone_client.errors import TlsMismatchError, UnavailableError, UndertoneError

_TIMEOUT_SECONDS: Final = 2.0
_NO_CONNECTION: Final = ("connections to all backends failing", "failed to connect to all addresses", "Socket closed")
"""Parts of gRPC's explanations of a missing connection. A service without a model has another."""
_HOST_AND_PORT: Final = re.compile(r"(?:dns:(?:///)?)?(?:\[(?P<ipv6>[^]]+)\]|(?P<host>[^:/\[\]]+)):(?P<port>\d+)")


async def explain_tls(error: UndertoneError, target: str, *, tls: bool) -> UndertoneError:
    """`error`, or a TlsMismatchError if the service is unavailable because of TLS.

    It opens one connection to the service, and ends it after the handshake of TLS.

    Args:
        error: the error of a call.
        target: address of the service.
        tls: whether the client used TLS.
    """
    address = _HOST_AND_PORT.fullmatch(target)
    if type(error) is not UnavailableError or address is None or not any(part in error.reason for part in _NO_CONNECTION):
        return error
    server_uses_tls = await _uses_tls(address["ipv6"] or address["host"], int(address["port"]))
    if server_uses_tls is None or server_uses_tls == tls:
        return error
    return TlsMismatchError(error.status, error.reason, attempts=error.attempts, server_uses_tls=server_uses_tls)


async def _uses_tls(host: str, port: int) -> bool | None:
    """Whether the server at a port uses TLS. None if it does not answer in a way that shows it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent over this connection, so that a certificate of another name is enough.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        # An alert, such as of a missing client certificate, comes from a server with TLS.
        return False if error.reason == "WRONG_VERSION_NUMBER" else True if "ALERT" in (error.reason or "") else None
    except (OSError, TimeoutError):
        return None
    writer.transport.abort()
    return True
