"""The innermost transport: gRPC. The only module that handles gRPC channels and gRPC exceptions."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence

import grpc
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

from undertone_client.credentials import CredentialsReader
from undertone_client.errors import OverloadedError, SettingsError, from_rpc
from undertone_client.settings import Settings, Tls
from undertone_client.transport import CallState, Mode, Reply, Request
from undertone_client.wire import read_reply

OPTIONS = (
    # A name may resolve to many pods, as a headless Service does. gRPC's default, pick_first,
    # would use only one of them.
    ("grpc.lb_policy_name", "round_robin"),
    # This package retries. gRPC's own retries would multiply with ours.
    ("grpc.enable_retries", 0),
    # Finds a restarted service within seconds. gRPC's default backoff grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5000),
)

FULL_QUEUE = "the server cancelled the call, but stays connected: its queue of pending calls is full"

DISCONNECT_SECONDS = 0.05
"""Time in which a server that shuts down closes its connections after it has cancelled calls."""

_LANES: Mapping[Mode, tuple[tuple[str, str], ...]] = {Mode.ONLINE: (), Mode.BATCH: (("undertone-lane", "batch"),)}
"""Metadata that selects the service's lane: it prefers online calls to batch calls."""


def open_channel(target: str, tls: Tls | None, interceptors: Sequence[grpc.aio.ClientInterceptor] = ()) -> grpc.aio.Channel:
    """Create a channel to `target`. It connects with the first call. Needs a running event loop.

    Raises:
        SettingsError: a certificate file cannot be read.
    """
    if tls is None:
        return grpc.aio.insecure_channel(target, options=OPTIONS, interceptors=interceptors)
    return grpc.aio.secure_channel(target, _credentials(tls), options=OPTIONS, interceptors=interceptors)


class GrpcTransport:
    """Sends requests over a gRPC channel. Maps gRPC's exceptions to this package's exceptions.

    Args:
        target: gRPC target; see `validate_target`.
        settings: `timeout_seconds` is the deadline of one attempt, `tls` secures the channel,
            `credentials` and `metadata` are sent with each call.
        interceptors: interceptors of the channel, outermost first.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        target: str,
        settings: Settings,
        interceptors: Sequence[grpc.aio.ClientInterceptor],
        clock: Callable[[], float],
    ) -> None:
        self._target = target
        self._timeout_seconds = settings.timeout_seconds
        self._tls = settings.tls
        self._credentials = settings.credentials
        self._metadata = settings.metadata
        self._reader: CredentialsReader | None = None
        self._interceptors = interceptors
        self._clock = clock
        self._channel: grpc.aio.Channel | None = None
        self._stub: pb_grpc.ClassifierAsyncStub | None = None  # this name exists in the type stubs only

    def open(self) -> None:
        """Open the channel.

        Raises:
            SettingsError: a file of a certificate or of credentials cannot be read.
        """
        self._reader = CredentialsReader(self._credentials) if self._credentials else None
        self._channel = open_channel(self._target, self._tls, self._interceptors)
        self._stub = pb_grpc.ClassifierStub(self._channel)

    async def close(self) -> None:
        """Close the channel. Calls in flight are cancelled."""
        channel, self._channel, self._stub = self._channel, None, None
        if channel is not None:
            await channel.close()

    async def send(self, request: Request, call: CallState) -> Reply:
        """See `Transport`. Raises `RuntimeError` if the channel is not open."""
        if self._stub is None:
            raise RuntimeError("the client is not open: use it inside `async with Client(...) as client`")
        timeout = self._timeout_seconds
        if call.deadline != math.inf:
            timeout = max(0.0, min(timeout, call.deadline - self._clock()))
        metadata = _LANES[call.mode] + self._metadata + (self._reader.metadata() if self._reader else ())
        rpc = getattr(self._stub, request.method)(request.message, timeout=timeout, metadata=metadata)
        try:
            message = await rpc
            return read_reply(message, await rpc.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            if _is_reset(error) and await self._is_connected():
                raise OverloadedError(grpc.StatusCode.RESOURCE_EXHAUSTED, FULL_QUEUE, attempts=call.attempts) from None
            raise from_rpc(error, attempts=call.attempts) from None

    async def _is_connected(self) -> bool:
        """Whether the server still accepts calls, shortly after it has cancelled one.

        A gRPC server cancels calls for two reasons, with the same status and details: its queue of
        pending calls is full, or it shuts down. In the second case it closes its connections, too.
        """
        await asyncio.sleep(DISCONNECT_SECONDS)
        return self._channel is not None and self._channel.get_state() is grpc.ChannelConnectivity.READY


def _is_reset(error: grpc.aio.AioRpcError) -> bool:
    """Whether the server's gRPC library cancelled the call, and not a service with a status."""
    return error.code() is grpc.StatusCode.CANCELLED and error.details() == "CANCELLED"


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    contents = []
    for path in (tls.ca_file, tls.key_file, tls.cert_file):
        try:
            contents.append(None if path is None else path.read_bytes())
        except OSError as error:
            raise SettingsError(f"{path} cannot be read: {error.strerror or error}") from None
        if contents[-1] is not None and b"-----BEGIN " not in contents[-1]:
            raise SettingsError(f"{path} is not a PEM file: use a file with lines such as -----BEGIN CERTIFICATE-----")
    roots, key, chain = contents
    return grpc.ssl_channel_credentials(root_certificates=roots, private_key=key, certificate_chain=chain)
