"""The command `undertone-bench`.

A subcommand is imported when it runs, because some need TensorFlow or Spark.
"""

import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

import click
from undertone_client.errors import ServiceError, SettingsError

from undertone_bench.errors import BenchError

SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_EXPECTED: Final = (BenchError, SettingsError, ServiceError)
_INTERRUPTED: Final = 130
_TERMINATED: Final = 143


class LazyCommand(NamedTuple):
    """A subcommand's "module:attribute", its section in the help text, and its summary there."""

    target: str
    section: str
    summary: str


class LazyGroup(click.Group):
    """A group that imports a subcommand when it runs, and whose help text imports none."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return None
        module, _, attribute = self._lazy[cmd_name].target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self._lazy and not args[0].startswith("-"):
            ctx.fail(f"there is no command '{args[0]}'; the commands are {', '.join(self._lazy)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section in dict.fromkeys(command.section for command in self._lazy.values()):
            with formatter.section(section):
                rows = [(name, command.summary) for name, command in self._lazy.items() if command.section == section]
                formatter.write_dl(rows, col_max=20)

    def invoke(self, ctx: click.Context) -> Any:
        """Report expected errors in one line, and Ctrl-C as exit code 130."""
        try:
            return super().invoke(ctx)
        except _EXPECTED as error:
            raise click.ClickException(str(error)) from None
        except ExceptionGroup as group:  # of asyncio.TaskGroup
            found: BaseException | None
            found, unexpected = group.split(_EXPECTED)
            if found is None or unexpected is not None:
                raise
            while isinstance(found, BaseExceptionGroup):
                found = found.exceptions[0]
            raise click.ClickException(str(found)) from None
        except KeyboardInterrupt:
            click.echo("Interrupted. All processes of the measurement were stopped.", err=True)
            ctx.exit(_INTERRUPTED)


def _command(module: str, section: str, summary: str) -> LazyCommand:
    attribute = module.rpartition(".")[2]
    return LazyCommand(f"undertone_bench.commands.{module}:{attribute}", section, summary)


_POD: Final = "A pod that serves a model"
_PARTS: Final = "One part of the service"
_GRAPH: Final = "The exported graph"
_FLEET: Final = "A simulated fleet"
_RESULTS: Final = "Results"

COMMANDS: Final[Mapping[str, LazyCommand]] = {
    "throughput": _command("throughput", _POD, "Compare ways to serve a model by paragraphs per second."),
    "latency": _command("latency", _POD, "Measure latency under Poisson load against unloaded latency."),
    "lanes": _command("lanes", _POD, "Measure how online calls and a batch job slow each other down."),
    "goodput": _command("goodput", _POD, "Measure answers within their deadline under overload."),
    "cost": _command("cost", _POD, "Measure time per paragraph by length, separate and mixed."),
    "tune": _command("tune", _POD, "Find the best settings of a pod on this machine."),
    "pod": _command("pod", _POD, "Calibrate the fleet model: speed, start-up and memory of a pod."),
    "load": _command("load", _POD, "Load a service with Classify calls, open loop or closed loop."),
    "cache": _command("cache", _PARTS, "Compare sidecars with and without an answer cache."),
    "sidecar": _command("sidecar", _PARTS, "Measure CPU time and memory of the sidecar."),
    "http": LazyCommand(
        "undertone_bench.commands.http:http_command", _PARTS, "Measure the cost of HTTP beside gRPC in the sidecar."
    ),
    "envoy": _command("envoy", _PARTS, "Measure the cost of the chart's Envoy."),
    "telemetry": _command("telemetry", _PARTS, "Measure the cost of metrics, traces and logs."),
    "memory": _command("memory", _PARTS, "Measure memory of the model server beside the estimate."),
    "client-overhead": _command("client_overhead", _PARTS, "Measure CPU time of the client per paragraph."),
    "rollouts": _command("rollouts", _PARTS, "Count failed calls in rollouts, drains and kills."),
    "spark": _command("spark", _PARTS, "Compare ways to score paragraphs in Spark."),
    "table": _command("table", _PARTS, "Measure the Spark job's table with a million rows."),
    "graph": _command("graph", _GRAPH, "Time, profile and check the exported TensorFlow graph."),
    "families": _command("families", _GRAPH, "Compare the graphs of the supported families with BERT's."),
    "client-throughput": _command("client_throughput", _FLEET, "Compare ways to call a fleet of 90 pods."),
    "fleet-model": _command("fleet_model", _FLEET, "Compare the fleet model with real pods."),
    "soak": _command("soak", _FLEET, "Score a million paragraphs while services fail; check each score."),
    "simulation": _command("simulation", _FLEET, "Serve a simulated fleet; reproduce the paper's figures."),
    "publish": _command("publish", _RESULTS, "Write results into the page on performance."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings=SETTINGS,
    epilog="""\b
Examples:
  undertone-bench throughput                          the demo model, served in several ways
  undertone-bench latency --model bert-base           latency at 70 % of saturation
  undertone-bench load --target HOST:PORT --rate 20   load a running service
  undertone-bench publish --check                     check that the page matches its summaries

\b
Exit codes:
  0    measured                1    measurement or check failed
  2    wrong usage             130  interrupted with Ctrl-C
  143  terminated (SIGTERM)""",
)
@click.version_option(package_name="undertone-bench", prog_name="undertone-bench")
def main() -> None:
    """Measure how fast Undertone is on this machine, compared with other ways to serve a model.

    A measurement starts the processes that it needs, prints tables and figures, and writes a
    report to build/bench/results. Run it from the repository's root, on an idle machine.
    """
    # As an exception, so that context managers stop the processes of the measurement.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
