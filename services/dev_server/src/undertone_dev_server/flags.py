"""The command line and the environment. The flags are TF Serving's where it has them."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from undertone_dev_server import model_config, monitoring_config
from undertone_dev_server.errors import SettingsError
from undertone_dev_server.model_config import ModelConfig
from undertone_dev_server.settings import Settings

DESCRIPTION = """\
Serves TensorFlow SavedModels over TF Serving's gRPC API: Predict, GetModelMetadata,
GetModelStatus and grpc.health.v1. It stands in for TF Serving on machines without
containers; production runs TF Serving itself, with the same flags.

The base path holds one folder per version, named by a number:

    models/emotions/1/saved_model.pb
    models/emotions/1/variables/...

The newest is served. A folder that appears later is loaded beside it and takes over
without a failed call; the older one is unloaded when its last call has ended."""

EXAMPLES = """\
examples:
  undertone-dev-server --model_name=emotions --model_base_path=models/emotions
  undertone-dev-server --model_name=emotions --model_base_path=models/emotions \\
      --port=0 --grpc_socket_path=/tmp/model.sock --tensorflow_intra_op_parallelism=2
  undertone-dev-server --model_config_file=models.config \\
      --allow_version_labels_for_unavailable_models=true

Every flag can be given in the environment, in capitals after UNDERTONE_: UNDERTONE_PORT=8500."""


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from flags, else from `UNDERTONE_<FLAG>`, else the defaults.

    Raises SettingsError; exits the process for `--help` and for flags that do not parse.
    """
    given = _parser(environment).parse_args(arguments)
    return Settings(
        models=_models(given),
        host=given.host,
        port=given.port,
        grpc_socket_path=Path(given.grpc_socket_path) if given.grpc_socket_path else None,
        rest_api_port=given.rest_api_port,
        monitoring_path=monitoring_config.read(Path(given.monitoring_config_file)) if given.monitoring_config_file else "",
        grpc_max_threads=given.grpc_max_threads,
        tensorflow_intra_op_parallelism=given.tensorflow_intra_op_parallelism,
        tensorflow_inter_op_parallelism=given.tensorflow_inter_op_parallelism,
        file_system_poll_wait_seconds=given.file_system_poll_wait_seconds,
    )


def _models(given: argparse.Namespace) -> tuple[ModelConfig, ...]:
    if given.model_config_file:
        if given.model_base_path:
            raise SettingsError("--model_config_file and --model_base_path were both given; the file names the models' paths")
        labels_allowed = given.allow_version_labels_for_unavailable_models
        return model_config.read(Path(given.model_config_file), labels_allowed=labels_allowed)
    if not given.model_base_path:
        raise SettingsError("nothing to serve: give --model_base_path=FOLDER, or --model_config_file=FILE")
    if not given.model_name:
        raise SettingsError("--model_name is empty; calls ask for the model by its name")
    return (ModelConfig(given.model_name, Path(given.model_base_path).absolute()),)


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="undertone-dev-server",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    def flag(name: str, kind: Callable[[str], object], metavar: str, default: object, meaning: str) -> None:
        parser.add_argument(
            f"--{name}",
            type=kind,
            metavar=metavar,
            # argparse converts a default that is text, so that a bad variable is reported as a bad flag is.
            default=environment.get(f"UNDERTONE_{name.upper()}", default),
            help=meaning if default in (None, "") else f"{meaning} (default: {default})",
            # As in TF Serving, --flag alone means --flag=true.
            nargs="?" if kind is _boolean else None,
            const=True if kind is _boolean else None,
        )

    flag("model_name", str, "NAME", "default", "name by which calls ask for the model")
    flag("model_base_path", str, "FOLDER", "", "folder that holds the version folders; it may appear after the start")
    flag(
        "model_config_file",
        str,
        "FILE",
        "",
        "instead of the two above, a ModelServerConfig in text format: several models, version policies, labels",
    )
    flag(
        "allow_version_labels_for_unavailable_models",
        _boolean,
        "true|false",
        "false",
        "let the config file label versions that are not loaded yet, as none is at the start",
    )
    flag("host", str, "ADDRESS", "127.0.0.1", "address to listen on; 0.0.0.0 for every interface")
    flag("port", int, "PORT", 8500, "TCP port; 0 takes a free one and logs it")
    flag("grpc_socket_path", str, "PATH", "", "also listen on a Unix socket at this path")
    flag("rest_api_port", int, "PORT", None, "HTTP port of the metrics, and of nothing else; 0 takes a free one and logs it")
    flag("monitoring_config_file", str, "FILE", "", "a MonitoringConfig in text format, which enables metrics for Prometheus")
    flag(
        "grpc_max_threads",
        int,
        "N",
        4 * _cpus(),
        "calls that may run at once; the next is answered RESOURCE_EXHAUSTED; four for each CPU",
    )
    flag("tensorflow_intra_op_parallelism", int, "N", 0, "threads inside one operation; 0 for automatic")
    flag("tensorflow_inter_op_parallelism", int, "N", 0, "operations at the same time; 0 for automatic")
    flag("file_system_poll_wait_seconds", float, "SECONDS", 1, "pause between two looks at the base paths; 0 looks only once")
    return parser


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")
    return values[text.lower()]


def _cpus() -> int:
    """CPUs that this process may use, where the platform tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
