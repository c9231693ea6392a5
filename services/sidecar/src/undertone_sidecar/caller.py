"""The identity of a caller, by which callers of a lane share the sidecar fairly."""

import hashlib
import ipaddress
from collections.abc import Iterable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import grpc.aio

CALLER: Final = "x-undertone-caller"
"""Metadata key of the caller's identity, which a load balancer sets: any text."""

HTTP_CALLER: Final = "undertone-http-caller-bin"
"""Metadata key of the caller's identity on the private Unix socket of the HTTP port."""

_UNIX: Final = "unix:"
"""Beginning of a peer on a Unix socket. The gRPC server listens on one for the HTTP port only."""

CURRENT_CALLER: Final[ContextVar[str]] = ContextVar("caller")
"""The identity of the caller of the current unary call. CallGuard sets it."""

_MAX_CHARACTERS: Final = 128
"""Maximum length of an identity in memory. Longer identities are replaced by their hash."""

_IPV6_NETWORK_BITS: Final = 64
"""A host usually has a whole IPv6 network of this prefix length, so it counts as one caller."""


def caller_of(
    metadata: Iterable[tuple[str, str | bytes]], *, peer: str, certificate_names: Iterable[bytes] = (), trust_metadata: bool
) -> str:
    """The identity of the caller: the metadata, the client certificate, or the peer's address.

    Args:
        metadata: Metadata of the call.
        peer: Address of the connection in gRPC's notation, such as "ipv4:192.0.2.1:50051".
        certificate_names: Names in the verified client certificate. Empty without one.
        trust_metadata: Whether to use CALLER. Only right if all calls come through a load balancer
            that overwrites CALLER. Otherwise, a caller could claim any number of identities.
    """
    if trust_metadata:
        for key, value in metadata:
            if key == CALLER and value:
                return _normalized(value if isinstance(value, str) else value.decode("latin-1"))
    for name in certificate_names:
        return _normalized(name.decode("utf-8", "replace"))
    return _host(peer)


def caller_of_call(context: "grpc.aio.ServicerContext[Any, Any]", *, trust_metadata: bool) -> str:
    """The identity of the caller of a call; see caller_of."""
    metadata, peer = context.invocation_metadata() or (), context.peer()
    if peer.startswith(_UNIX):
        for key, value in metadata:
            if key == HTTP_CALLER and isinstance(value, bytes):
                return value.decode()
    return caller_of(
        metadata,
        peer=peer,
        certificate_names=context.peer_identities() or (),
        trust_metadata=trust_metadata,
    )


def _normalized(identity: str) -> str:
    """The identity in bounded length, with the network instead of an IPv6 address."""
    if len(identity) > _MAX_CHARACTERS:  # not in a cache, which would keep it
        return hashlib.blake2b(identity.encode("utf-8", "replace"), digest_size=16).hexdigest()
    return _network_or_identity(identity)


@lru_cache(maxsize=1024)
def _network_or_identity(identity: str) -> str:
    try:
        address = ipaddress.ip_address(identity)
    except ValueError:
        return identity
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), _IPV6_NETWORK_BITS), strict=False))


@lru_cache(maxsize=1024)
def _host(peer: str) -> str:
    """The peer's address without its port. Processes behind one Unix socket are one caller."""
    kind, _, address = unquote(peer).partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return kind
    return _normalized(address.rpartition(":")[0].strip("[]"))
