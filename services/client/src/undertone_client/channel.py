"""Opening the connection."""

from collections.abc import Sequence

import grpc

from undertone_client.errors import SettingsError
from undertone_client.settings import Settings, Tls

OPTIONS = (
    # A name may stand for many pods, as a headless Service's does; gRPC's default would send everything to the first of them.
    ("grpc.lb_policy_name", "round_robin"),
    # Retries are counted and spaced by this package; gRPC's own would multiply with them.
    ("grpc.enable_retries", 0),
    # A service that was restarted is found again within seconds; gRPC's default would grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5000),
)


def open_channel(target: str, settings: Settings, interceptors: Sequence[grpc.aio.ClientInterceptor] = ()) -> grpc.aio.Channel:
    """A channel to `target`, see `checked_target`; it connects with the first call. Must be called with the event loop running.

    Calls pass the `interceptors`, the first of them outermost.

    Raises:
        SettingsError: a certificate file cannot be read.
    """
    if settings.tls is None:
        return grpc.aio.insecure_channel(target, options=OPTIONS, interceptors=interceptors)
    return grpc.aio.secure_channel(target, _credentials(settings.tls), options=OPTIONS, interceptors=interceptors)


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    contents = []
    for path in (tls.ca_file, tls.key_file, tls.cert_file):
        try:
            contents.append(None if path is None else path.read_bytes())
        except OSError as error:
            raise SettingsError(f"{path} cannot be read: {error.strerror or error}") from None
    roots, key, chain = contents
    return grpc.ssl_channel_credentials(root_certificates=roots, private_key=key, certificate_chain=chain)
