"""Options of the gRPC server: connections, streams, waiting calls, buffers and pings."""

from typing import Final

_MAX_CONNECTIONS: Final = 4096
MAX_STREAMS_PER_CONNECTION: Final = 256
"""Maximum calls of a connection at once. Further calls wait in the client, so that only a burst on
more than 32 connections can exceed MAX_PENDING_CALLS."""

MAX_PENDING_CALLS: Final = 8192
"""Maximum calls of a method that gRPC has received and the event loop has not accepted yet. gRPC
cancels further calls."""

_BUFFERED_BYTES_PER_CALL: Final = 16 * 1024
"""Bytes of a call that gRPC buffers before the call's message is read."""

_HANDSHAKE_MILLISECONDS: Final = 10_000


def server_options(message_bytes: int) -> tuple[tuple[str, int], ...]:
    """Options of a server that reads messages of at most `message_bytes` bytes."""
    return (
        ("grpc.max_receive_message_length", message_bytes),
        # By default, two sidecars could share a port without an error.
        ("grpc.so_reuseport", 0),
        # By default, gRPC cancels calls of a burst at random, without a status that clients retry.
        # CallGuard answers the calls that are too many.
        ("grpc.server.max_pending_requests", MAX_PENDING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_CALLS),
        ("grpc.max_concurrent_streams", MAX_STREAMS_PER_CONNECTION),
        # By default, gRPC refuses streams of clients that keep to this limit (UNAVAILABLE), because
        # it counts ended streams until their memory is free. MAX_PENDING_CALLS bounds streams that
        # callers reset.
        ("grpc.http.overload_protection", 0),
        ("grpc.max_allowed_incoming_connections", _MAX_CONNECTIONS),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MILLISECONDS),
        # gRPC would otherwise buffer megabytes of each call before CallGuard reads it.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _BUFFERED_BYTES_PER_CALL),
        # Allows clients and load balancers to ping idle connections. By default, gRPC closes such
        # connections.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    )
