"""Settings of the development server, and the command-line options and environment variables that
set them.

The options have TF Serving's names where TF Serving has them.
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from undertone_telemetry.options import IntegerRange

from undertone_dev_server import model_config, monitoring_config
from undertone_dev_server.errors import SettingsError
from undertone_dev_server.version_policy import NEWEST, VersionPolicy

PROGRAM: Final = "undertone-dev-server"
ENVIRONMENT_FILE: Final = "model-server.env"
MAX_SOCKET_PATH_BYTES: Final = 107
"""The size of sockaddr_un.sun_path on Linux, without its terminating zero."""

CONTEXT_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

PORT: Final = IntegerRange(0, 65535)

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the server. The fields are named like their options.

    Port 0 selects a free port. The metrics are served on `rest_api_port` at the URL path
    `monitoring_path`, unless the port is None or the path is empty. With 0 threads, TensorFlow
    chooses the number. With a poll wait of 0 seconds, the server looks for versions once. The model
    and its `version_policy` come from the configuration file, if there is one.
    """

    model_name: str
    model_base_path: Path
    grpc_max_threads: int
    host: str = "127.0.0.1"
    port: int = 8500
    grpc_socket_path: Path | None = None
    rest_api_port: int | None = None
    monitoring_path: str = ""
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    file_system_poll_wait_seconds: float = 1.0
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    version_policy: VersionPolicy = NEWEST


def option(name: str, **attributes: Any) -> Callable[[_Command], _Command]:
    """The click option `--name` with the environment variable UNDERTONE_NAME. Help and errors name
    both.
    """
    shared = {"envvar": f"UNDERTONE_{name.upper()}", "show_envvar": True, "show_default": True}
    return click.option(f"--{name}", **{**shared, **attributes})


def parse(arguments: Sequence[str]) -> Settings:
    """Settings from options, else from environment variables, else the defaults.

    Raises SettingsError or click.ClickException for invalid settings, and click.exceptions.Exit
    after --help.
    """
    with _command.make_context(PROGRAM, list(arguments)) as context:
        settings: Settings = _command.invoke(context)
        return settings


def recommended_environment() -> dict[str, str]:
    """Environment variables that make a model server faster, from ENVIRONMENT_FILE in this package.

    They are defaults: a variable that the user has set takes precedence.
    """
    lines = files("undertone_dev_server").joinpath(ENVIRONMENT_FILE).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _socket_path(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is None:
        return None
    absolute = path.absolute()
    length = len(os.fsencode(absolute))
    if length > MAX_SOCKET_PATH_BYTES:
        raise click.BadParameter(
            f"{path} is {length} bytes long; the maximum for a Unix socket is {MAX_SOCKET_PATH_BYTES}: use a shorter path"
        )
    if not absolute.parent.is_dir():
        raise click.BadParameter(f"the folder {absolute.parent} does not exist; create it first")
    if absolute.exists() and not absolute.is_socket():
        raise click.BadParameter(f"{path} exists and is not a socket; use another path")
    return path


def _seconds(_context: click.Context, _parameter: click.Parameter, seconds: float) -> float:
    if not 0 <= seconds < math.inf:
        raise click.BadParameter(f"{seconds:g} is not a duration; use a number of seconds, or 0 to look once")
    return seconds


def _available_cpus() -> int:
    """CPUs that this process may use. Platforms other than Linux report all CPUs."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@click.command(
    PROGRAM,
    context_settings=CONTEXT_SETTINGS,
    epilog="""\b
Examples:
  undertone-dev-server --model_name=emotions --model_base_path=build/models/emotions
  undertone-dev-server --model_name=emotions --model_base_path=build/models/emotions \\
      --port=0 --grpc_socket_path=/tmp/model.sock --tensorflow_intra_op_parallelism=2""",
)
@click.version_option(package_name="undertone-dev-server", prog_name=PROGRAM)
@option("model_name", metavar="NAME", default="default", help="Name of the model in requests.")
@option(
    "model_base_path",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder that contains the version folders. The server waits for it if it does not exist.",
)
@option(
    "model_config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="ModelServerConfig in text format with one model and the policy of its versions. It replaces --model_name and "
    "--model_base_path.",
)
@option("host", metavar="ADDRESS", default="127.0.0.1", help="Address to listen on. 0.0.0.0: all interfaces.")
@option("port", metavar="PORT", type=PORT, default=8500, help="TCP port for gRPC. 0: a free port, which is logged.")
@option(
    "grpc_socket_path",
    metavar="PATH",
    type=click.Path(path_type=Path),
    callback=_socket_path,
    help="Unix socket for gRPC, in addition to the TCP port.",
)
@option("rest_api_port", metavar="PORT", type=PORT, help="HTTP port for the metrics. 0: a free port, which is logged.")
@option(
    "monitoring_config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="MonitoringConfig in text format. It enables the metrics for Prometheus.",
)
@option(
    "grpc_max_threads",
    metavar="N",
    type=IntegerRange(2),
    default=lambda: 4 * _available_cpus(),
    show_default="4 for each CPU",
    help="Threads for gRPC. N threads run N - 1 concurrent calls; further calls fail with RESOURCE_EXHAUSTED.",
)
@option(
    "tensorflow_intra_op_parallelism",
    metavar="N",
    type=IntegerRange(0),
    default=0,
    help="Threads within one operation. 0: automatic.",
)
@option(
    "tensorflow_inter_op_parallelism",
    metavar="N",
    type=IntegerRange(0),
    default=0,
    help="Operations that run concurrently. 0: automatic.",
)
@option(
    "file_system_poll_wait_seconds",
    metavar="SECONDS",
    type=float,
    default=1.0,
    callback=_seconds,
    help="Interval between two searches for new versions. 0: search once, at the start.",
)
@option(
    "max_num_load_retries",
    metavar="N",
    type=IntegerRange(0),
    default=5,
    help="Retries after a failed load of a version.",
)
@option(
    "load_retry_interval_micros",
    metavar="MICROSECONDS",
    type=int,
    default=60_000_000,
    help="Interval between two attempts to load a version. Negative: no wait.",
)
def _command(
    *,
    model_name: str,
    model_base_path: Path | None,
    model_config_file: Path | None,
    monitoring_config_file: Path | None,
    rest_api_port: int | None,
    **options: Any,
) -> Settings:
    """Serve a TensorFlow SavedModel over TF Serving's gRPC API.

    The server answers Predict, GetModelMetadata, GetModelStatus and grpc.health.v1. It is a
    development server for machines without containers. Production runs TF Serving with the same
    options.

    The base path contains one folder for each version. The folder's name is the version number:

    \b
        build/models/emotions/1/saved_model.pb
        build/models/emotions/1/variables/...

    The newest version is served, unless --model_config_file has another policy. When a new version
    folder appears, the server loads that version at once, switches to it without a failed call, and
    unloads the old version after its last call. Therefore write a version to another folder and
    rename it (mv) when it is complete.
    """
    policy = NEWEST
    if model_config_file:
        model_name, model_base_path, policy = model_config.read(model_config_file)
    if not model_name:
        raise SettingsError("--model_name is empty; set it to the name of the model in requests")
    if model_base_path is None:
        raise SettingsError("there is no model; set --model_base_path or --model_config_file")
    monitoring_path = monitoring_config.read(monitoring_config_file) if monitoring_config_file else ""
    if monitoring_path and rest_api_port is None:
        raise SettingsError("--monitoring_config_file enables the metrics, but they have no port; set --rest_api_port")
    return Settings(
        model_name=model_name,
        model_base_path=model_base_path.absolute(),
        version_policy=policy,
        monitoring_path=monitoring_path,
        rest_api_port=rest_api_port,
        **options,
    )
