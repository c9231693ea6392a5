from dataclasses import dataclass, field, fields
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from undertone_telemetry import TelemetrySettings
from undertone_telemetry.options import field_option, option_group, refuse_unused, telemetry_option, telemetry_options


@dataclass(frozen=True)
class Queue:
    name: str
    queue_size: int = field(default=8, metadata={"help": "Length of the queue.", "fallback_envvars": ("QUEUE_SIZE",)})

    def __post_init__(self) -> None:
        if self.name == "none":
            raise ValueError("--name none is reserved: choose another")


@click.command
@option_group("queue", Queue, *(field_option(Queue, each.name) for each in fields(Queue)))
@click.option("--verbose", is_flag=True)
def queue_command(queue: Queue, verbose: bool) -> None:
    click.echo(f"{queue} {verbose}")


@click.command
@telemetry_options()
def telemetry_command(telemetry: TelemetrySettings) -> None:
    click.echo(telemetry)


def run(command: click.Command, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(command, arguments, env={"COLUMNS": "100", **environment})


def test_a_command_receives_the_group_as_one_argument_beside_its_other_options() -> None:
    result = run(queue_command, "--name=a", "--queue-size=3", "--verbose")
    assert result.output == "Queue(name='a', queue_size=3) True\n"


@pytest.mark.parametrize(
    ("environment", "size"),
    [
        ({}, 8),
        ({"QUEUE_SIZE": "5"}, 5),
        ({"QUEUE_SIZE": "5", "UNDERTONE_QUEUE_SIZE": "6"}, 6),
        ({"QUEUE_SIZE": "5", "UNDERTONE_QUEUE_SIZE": ""}, 5),
    ],
)
def test_the_environment_sets_a_field_and_a_fallback_counts_only_without_it(environment: dict[str, str], size: int) -> None:
    assert run(queue_command, "--name=a", **environment).output == f"Queue(name='a', queue_size={size}) False\n"


def test_a_flag_overrides_the_environment() -> None:
    assert "queue_size=9" in run(queue_command, "--name=a", "--queue-size=9", UNDERTONE_QUEUE_SIZE="6").output


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ([], {}, "Missing option '--name'"),
        (["--name=none"], {}, "Error: --name none is reserved: choose another"),
        (["--name=a"], {"QUEUE_SIZE": "many"}, "'many' is not a valid integer"),
        (["--name=a"], {"UNDERTONE_QUEUE_SIZE": "many"}, "(env var: 'UNDERTONE_QUEUE_SIZE', 'QUEUE_SIZE')"),
    ],
)
def test_an_invalid_value_is_a_usage_error(arguments: list[str], environment: dict[str, str], message: str) -> None:
    result = run(queue_command, *arguments, **environment)
    assert (result.exit_code, message in result.output) == (2, True), result.output


def test_the_help_shows_text_environment_variables_and_default() -> None:
    text = " ".join(run(queue_command, "--help").output.split())
    assert "Length of the queue. [env var: UNDERTONE_QUEUE_SIZE, QUEUE_SIZE; default: 8]" in text
    assert "--name TEXT [env var: UNDERTONE_NAME; required]" in text


def test_every_telemetry_setting_is_an_option_with_a_help_text() -> None:
    options = {option.name: option for option in telemetry_command.params if isinstance(option, click.Option)}
    assert options.keys() == {each.name for each in fields(TelemetrySettings)}
    assert all(option.help and option.help.endswith(".") and option.show_envvar for option in options.values())
    assert run(telemetry_command).output == f"{TelemetrySettings()}\n"


def test_the_trace_endpoint_is_read_from_opentelemetrys_own_variable() -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}
    result = run(telemetry_command, "--trace-sample=0.5", **environment)
    assert result.output == f"{TelemetrySettings(otlp_endpoint='http://collector:4317', trace_sample=0.5)}\n"


def test_a_command_chooses_fields_and_overrides_attributes() -> None:
    @dataclass(frozen=True)
    class Server:
        metrics_port: int | None = 9464

    @click.command
    @option_group("server", Server, telemetry_option("metrics_port", Server, help="Port."))
    @telemetry_options("log_format")
    def command(**values: Any) -> None:
        click.echo((values["server"], values["telemetry"]))

    assert run(command).output == f"{(Server(), TelemetrySettings())}\n"
    text = " ".join(run(command, "--help").output.split())
    assert "--metrics-port PORT Port. [env var: UNDERTONE_METRICS_PORT; default: 9464; 0<=x<=65535]" in text
    assert "--dogstatsd" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metrics-port=x"], "'x' is not a valid integer."),
        (["--metrics-port=-1"], "-1 is not in the range 0<=x<=65535."),
        (["--trace-sample=x"], "'x' is not a valid number."),
        (["--trace-sample=nan"], "nan is not a number."),
    ],
)
def test_an_invalid_number_is_named_with_its_type_or_range(arguments: list[str], message: str) -> None:
    @click.command()
    @telemetry_options("metrics_port", "trace_sample")
    def command(telemetry: TelemetrySettings) -> None:
        click.echo(telemetry)

    result = run(command, *arguments)
    assert (result.exit_code, message in result.output) == (2, True), result.output


@click.command
@click.option("--grid", is_flag=True)
@click.option("--trials", envvar="TRIALS", default=20)
def grid_command(grid: bool, trials: int) -> None:
    if grid:
        refuse_unused("has no effect with --grid: omit one of them", "trials")


def test_an_option_without_effect_is_refused_on_the_command_line_only() -> None:
    refused = run(grid_command, "--grid", "--trials=20")
    assert refused.exit_code == 2
    assert "Error: --trials has no effect with --grid: omit one of them" in refused.output
    assert run(grid_command, "--grid").exit_code == 0
    assert run(grid_command, "--trials=3").exit_code == 0
    assert run(grid_command, "--grid", TRIALS="3").exit_code == 0
