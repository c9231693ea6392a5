"""The options that say who sees what a command does."""

from dataclasses import fields
from typing import Any, Final

import click
from undertone_client.jobs.groups import Options, option_group
from undertone_telemetry.settings import LOG_FORMATS, TelemetrySettings, meaning

TRACES: Final = ("otlp_endpoint", "trace_sample")
ALL: Final = tuple(field.name for field in fields(TelemetrySettings))

_TYPES: Final[dict[str, Any]] = {
    "metrics_port": click.IntRange(0, 65535),
    "trace_sample": click.FloatRange(0, 1),
    "log_format": click.Choice(LOG_FORMATS),
}
_METAVARS: Final = {
    "metrics_port": "PORT",
    "metrics_host": "HOST",
    "pushgateway": "URL",
    "dogstatsd": "ADDRESS",
    "otlp_endpoint": "URL",
    "trace_sample": "0..1",
}
_KNOWN: Final = {"otlp_endpoint": ("OTEL_EXPORTER_OTLP_ENDPOINT",)}
"""What others call the same."""


def telemetry_options(*names: str) -> Options[Any]:
    """Adds `telemetry` to a command's arguments: TelemetrySettings of which the fields with these names can be given."""
    return option_group("telemetry", TelemetrySettings, *(_option(name) for name in names), names=names)


def job_option(default: str | None) -> Options[Any]:
    """Adds `job` to a command's arguments; without a default, it is called after the mode of its run."""
    return click.option(
        "--job",
        envvar="UNDERTONE_JOB",
        metavar="NAME",
        default=default,
        show_default=bool(default) or "the mode",
        help="Name of the job: the label of its metrics, and their group in the Pushgateway.",
    )


def _option(name: str) -> Options[Any]:
    default = next(field.default for field in fields(TelemetrySettings) if field.name == name)
    return click.option(
        f"--{name.replace('_', '-')}",
        envvar=[f"UNDERTONE_{name.upper()}", *_KNOWN.get(name, ())],
        type=_TYPES.get(name),
        metavar=_METAVARS.get(name),
        default=default,
        show_default=bool(default),
        help=f"{meaning(name)[0].upper()}{meaning(name)[1:]}.",
    )
