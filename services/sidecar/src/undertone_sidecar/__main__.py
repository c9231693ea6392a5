"""The command undertone-sidecar."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import click
from undertone_telemetry import logs
from undertone_telemetry.standard_output import checked_standard_output

from undertone_sidecar.errors import ConfigurationError, ContractError, DependencyError, PortError, SettingsError
from undertone_sidecar.garbage import FullCollections
from undertone_sidecar.plan_command import plan
from undertone_sidecar.settings import Settings
from undertone_sidecar.settings_options import CONTEXT_SETTINGS, SectionedCommand, removed_options, settings_options
from undertone_sidecar.sidecar import Sidecar

_EXIT_CODES: Final[Mapping[type[ConfigurationError], int]] = {
    DependencyError: 1,
    SettingsError: 2,
    ContractError: 3,
    PortError: 4,
}
_DRAIN_INCOMPLETE: Final = 5

log = logging.getLogger("undertone_sidecar")


@click.command(
    cls=SectionedCommand,
    context_settings=CONTEXT_SETTINGS,
    epilog="""\b
Command:
  undertone-sidecar plan  print thread counts that fit this machine; see plan --help

\b
Example:
  undertone-dev-server --model_name=emotions --model_base_path=models/emotions --port=8500
  undertone-sidecar --model-dir models/emotions --model-server localhost:8500 --port 50051
  grpcurl -plaintext -d '{"text": "At last, home!"}' localhost:50051 \\
      undertone.v1.Classifier/Classify

\b
Signals:
  SIGTERM and SIGINT start a drain: after --drain-serving-seconds, health becomes NOT_SERVING;
  after --drain-delay-seconds, new calls are refused, and accepted calls are finished.
  A second signal stops the sidecar at once.

\b
Exit codes:
  0  drained
  1  unexpected error, or an unsupported version of grpcio
  2  invalid flag or environment variable, or more threads than CPUs
  3  invalid model files or contract
  4  a port cannot be opened
  5  the drain was incomplete: calls in flight were cancelled""",
)
@settings_options()
@removed_options
@click.version_option(package_name="undertone-sidecar", prog_name="undertone-sidecar")
def serve(settings: Settings) -> int:
    """Serve undertone.v1.Classifier: score the emotions of paragraphs over gRPC.

    Also serves inference.GRPCInferenceService, for clients of Triton, KServe and MLServer.
    Tokenizes and batches paragraphs, and calls TF Serving or undertone-dev-server in the same pod.
    Health (grpc.health.v1) is SERVING once the model server has the model.

    Each option has an environment variable. The command line has precedence.
    """
    logs.configure_service(settings.log_format, traced=settings.telemetry.traced)
    return 0 if asyncio.run(_run(settings)) else _DRAIN_INCOMPLETE


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. Returns the exit code."""
    # The tokenizer would start a thread for each core, in competition with the model server. Our
    # thread pool is enough.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # gRPC's core writes a line to standard error for each bad header of a caller, and blocks until
    # it is read.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    arguments = sys.argv[1:] if arguments is None else arguments
    name = "undertone-sidecar"
    command: click.Command = serve
    if arguments[:1] == [plan.name]:
        # A click.Group would require --model-dir for this command, too.
        name, command, arguments = f"{name} {plan.name}", plan, arguments[1:]
    try:
        with checked_standard_output("undertone-sidecar"):
            return int(command.main(arguments, prog_name=name, standalone_mode=False))
    except click.ClickException as error:
        print(f"undertone-sidecar: {error.format_message()}", file=sys.stderr)
        return error.exit_code
    except ConfigurationError as error:
        print(f"undertone-sidecar: {error}", file=sys.stderr)
        return _EXIT_CODES[type(error)]


async def _run(settings: Settings) -> bool:
    stop, force_stop = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (force_stop if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    sidecar = Sidecar(settings)
    collections = FullCollections(lambda: sidecar.calls_in_flight)
    collecting = asyncio.create_task(collections.run(), name="full-collections")
    try:
        await sidecar.start()
        return await sidecar.run(stop, force_stop)
    finally:
        collecting.cancel()
        await sidecar.close()


if __name__ == "__main__":
    sys.exit(main())
