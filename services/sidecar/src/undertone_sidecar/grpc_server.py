"""Creates servers with our accept loop, if the installed grpcio is one that it was tested with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio

from undertone_sidecar.errors import DependencyError

if TYPE_CHECKING:
    from undertone_sidecar.accept_loop import Server

_SUPPORTED: Final = "1.85"
"""The minor version of grpcio whose private parts accept_loop uses. pyproject.toml has it, too."""


def server(interceptors: Sequence[grpc.aio.ServerInterceptor], options: Sequence[tuple[str, Any]]) -> "Server":
    """A server of grpc.aio, not started. CallGuard must be the first interceptor.

    Raises DependencyError.
    """
    check_version(grpc.__version__)
    # Only now, because the import fails if grpcio has other private parts.
    from undertone_sidecar.accept_loop import Server

    return Server(interceptors, options)  # type: ignore[abstract]  # Implemented by grpcio.


def check_version(version: str) -> None:
    """Raises DependencyError if the sidecar does not support this version of grpcio."""
    if version.split(".")[:2] != _SUPPORTED.split("."):
        raise DependencyError(
            f"grpcio {version} is installed, but the sidecar supports only grpcio {_SUPPORTED}: "
            f"install it with: pip install 'grpcio=={_SUPPORTED}.*'"
        )
