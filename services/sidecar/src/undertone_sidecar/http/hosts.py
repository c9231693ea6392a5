"""The check of the header Host, against DNS rebinding.

A web page whose name resolves to the address of the port has the origin of the port for a browser,
so that the page may call the API. Its requests have the name in the header Host.
"""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self

import grpc
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from undertone_sidecar.http.statuses import status_response

ANY: Final = "*"
"""The name in --http-hosts that accepts all hosts."""

_SHOWN_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The names of hosts that requests may have, without ports and in lower case.

    IP addresses, `localhost` and names below it are always allowed: no DNS record changes them.
    """

    names: frozenset[str]

    @classmethod
    def of(cls, listening: str, names: Collection[str]) -> Self | None:
        """The hosts of a port that listens on the address `listening`. None for all hosts.

        Without `names`, only a port on a loopback address is checked: in a cluster, the name may be
        that of a Service, a route or a proxy.
        """
        if ANY in names or not (names or _is_loopback(listening)):
            return None
        return cls(frozenset(name.lower().rstrip(".") for name in (listening, *names)))

    def allow(self, header: str) -> bool:
        """Whether a request with this header Host is answered. HTTP/1.0 has none."""
        name = _without_port(header.strip()).lower().rstrip(".")
        return not name or name in self.names or _is_local_name(name) or _is_address(name)


def checked_hosts(app: ASGIApp, hosts: AllowedHosts) -> ASGIApp:
    """The application, which refuses requests for other hosts with 403."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not hosts.allow(header := Headers(scope=scope).get("host", "")):
            refusal = status_response(
                grpc.StatusCode.PERMISSION_DENIED,
                f"the header Host is {header[:_SHOWN_CHARACTERS]!r}: use localhost, or add the name to --http-hosts of the "
                "sidecar",
            )
            await refusal(scope, receive, send)
            return
        await app(scope, receive, send)

    return answer


def _without_port(header: str) -> str:
    if header.startswith("["):  # an address of IPv6
        return header.partition("]")[0][1:]
    return header.partition(":")[0]


def _is_local_name(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def _is_loopback(host: str) -> bool:
    return _is_local_name(host.lower()) or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
