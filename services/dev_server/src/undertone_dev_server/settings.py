"""What the server is asked to do, checked as a whole."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from undertone_dev_server.errors import SettingsError
from undertone_dev_server.model_config import ModelConfig

# The length of sockaddr_un.sun_path on Linux, less its final zero.
MAX_SOCKET_PATH = 107


@dataclass(frozen=True, slots=True)
class Settings:
    """How to serve; the fields are named as their flags are. Raises SettingsError for values that cannot work.

    `port` 0 takes a free one, `rest_api_port` too; None opens none. On the latter are metrics, at `monitoring_path` if that is
    not empty. Zero threads inside or between operations lets TensorFlow choose. A pause of 0 seconds looks at
    the base paths only once.
    """

    models: tuple[ModelConfig, ...]
    grpc_max_threads: int
    host: str = "127.0.0.1"
    port: int = 8500
    grpc_socket_path: Path | None = None
    rest_api_port: int | None = None
    monitoring_path: str = ""
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    file_system_poll_wait_seconds: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"--port={self.port} is not a TCP port; give one of 1 to 65535, or 0 for any that is free")
        if self.rest_api_port is not None and not 0 <= self.rest_api_port <= 65535:
            raise SettingsError(
                f"--rest_api_port={self.rest_api_port} is not a TCP port; give one of 1 to 65535, or 0 for a free one"
            )
        if self.monitoring_path and self.rest_api_port is None:
            raise SettingsError("--monitoring_config_file enables metrics, and there is no port for them; give --rest_api_port")
        if self.grpc_max_threads < 1:
            raise SettingsError(f"--grpc_max_threads={self.grpc_max_threads} would answer no call; give 1 or more")
        for flag in ("tensorflow_intra_op_parallelism", "tensorflow_inter_op_parallelism"):
            threads = getattr(self, flag)
            if threads < 0:
                raise SettingsError(f"--{flag}={threads} is not a number of threads; give 1 or more, or 0 for automatic")
        pause = self.file_system_poll_wait_seconds
        if not 0 <= pause < math.inf:
            raise SettingsError(
                f"--file_system_poll_wait_seconds={pause:g} is not a pause; give seconds, or 0 to look only once"
            )
        if self.grpc_socket_path is not None:
            _check_socket(self.grpc_socket_path)


def _check_socket(path: Path) -> None:
    whole = path.absolute()
    length = len(os.fsencode(whole))
    if length > MAX_SOCKET_PATH:
        raise SettingsError(
            f"--grpc_socket_path={path} is {length} bytes long; a Unix socket's path may have {MAX_SOCKET_PATH}, so choose "
            "a shorter folder"
        )
    if not whole.parent.is_dir():
        raise SettingsError(f"--grpc_socket_path={path}: there is no folder {whole.parent}; make it first")
    if whole.exists() and not whole.is_socket():
        raise SettingsError(f"--grpc_socket_path={path} exists and is not a socket; choose another path")
