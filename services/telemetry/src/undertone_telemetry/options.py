"""Command-line options made from the fields of settings dataclasses.

Needs the extra `undertone-telemetry[options]` (click).
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from undertone_telemetry.settings import LOG_FORMATS, TelemetrySettings

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]

ENVIRONMENT_PREFIX: Final = "UNDERTONE_"

TRACE_FIELDS: Final = ("otlp_endpoint", "trace_sample")
"""The fields of TelemetrySettings for a command that sends traces but no metrics."""


class IntegerRange(click.IntRange):
    """An integer in a range. Help and errors call it an integer."""

    name = "integer"


class NumberRange(click.FloatRange):
    """A number in a range. Rejects NaN, which click.FloatRange accepts."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


_TYPES: Final[dict[str, click.ParamType[Any]]] = {
    "metrics_port": IntegerRange(0, 65535),
    "trace_sample": NumberRange(0, 1),
    "log_format": click.Choice(LOG_FORMATS),
}


class PortOrOff(click.ParamType["int | None"]):
    """A port, or None for "off"."""

    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value is None or value == "off":
            return None
        try:
            port = int(value)
        except ValueError:
            port = -1
        if not 0 <= port <= 65535:
            self.fail(f"{value!r} is not a port: use a number from 0 to 65535, or off.", param, ctx)
        return port


def option_group(argument: str, factory: Callable[..., Any], *options: Decorator[Any]) -> Decorator[Any]:
    """Adds options to a command and passes their values as one object.

    Args:
        argument: Name of the command's argument that receives the object.
        factory: Makes the object from the options' values, which are its keyword arguments;
            usually a dataclass. A ValueError that it raises becomes a usage error (exit code 2).
        options: Made by `click.option` or `field_option`.
    """
    names = _names(options)

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def run(*args: Any, **values: Any) -> Any:
            own = {name: values.pop(name) for name in names}
            try:
                values[argument] = factory(**own)
            except ValueError as error:
                raise click.UsageError(str(error)) from None
            return command(*args, **values)

        return _apply(options, run)  # type: ignore[return-value]

    return decorate


def field_option(
    settings_type: type[Any], name: str, *, fallback_envvars: Sequence[str] = (), **attributes: Any
) -> Decorator[Any]:
    """Makes the option of one field of a dataclass.

    The field `queue_size` becomes `--queue-size`, with the environment variable
    UNDERTONE_QUEUE_SIZE. If that is not set, the first of `fallback_envvars` that is set counts.
    The default is the field's; a field without a default is a required option. The help text
    shows the variables and the default.

    Args:
        settings_type: The dataclass.
        name: The name of the field. The field's metadata may contain `fallback_envvars` and
            any of `attributes`.
        fallback_envvars: Further environment variables, by precedence.
        attributes: Arguments of `click.option`, such as `help`, `type` or `metavar`. They
            override those of the metadata.
    """
    field = next(field for field in fields(settings_type) if field.name == name)
    option = {"fallback_envvars": fallback_envvars, **field.metadata, **attributes}
    envvars = [ENVIRONMENT_PREFIX + name.upper(), *option.pop("fallback_envvars")]
    if field.default is MISSING and field.default_factory is MISSING:
        option.setdefault("required", "default" not in option)
    elif field.default is not MISSING:
        option.setdefault("default", field.default)
    option.setdefault("show_default", option.get("default") not in (None, ""))
    return click.option(f"--{name.replace('_', '-')}", name, **{"envvar": envvars, "show_envvar": True, **option})


def telemetry_option(name: str, settings_type: type[Any] = TelemetrySettings, **attributes: Any) -> Decorator[Any]:
    """Makes the option of one field of TelemetrySettings; see `field_option`.

    Args:
        name: The name of the field.
        settings_type: A dataclass with a field of the same name. Default and metadata of that field
            have precedence.
        attributes: Override everything else.
    """
    shared = next(field for field in fields(TelemetrySettings) if field.name == name).metadata
    own = next(field for field in fields(settings_type) if field.name == name).metadata
    return field_option(settings_type, name, **{"type": _TYPES.get(name), **shared, **own, **attributes})


def telemetry_options(*names: str) -> Decorator[Any]:
    """Adds `telemetry` to a command's arguments: a TelemetrySettings.

    Args:
        names: The fields that get an option; without names, all. The other fields keep their
            defaults.
    """
    chosen = names or tuple(field.name for field in fields(TelemetrySettings))
    return option_group("telemetry", _telemetry, *(telemetry_option(name) for name in chosen))


def _telemetry(**values: Any) -> TelemetrySettings:
    settings = TelemetrySettings(**values)
    if settings.metrics_port is None:
        refuse_unused("has no effect without --metrics-port: add it, or omit the option", "metrics_host")
    return settings


def refuse_unused(reason: str, *names: str) -> None:
    """Refuses options of the command line that have no effect in the current command.

    A value from the environment or from a configuration file is a default of many commands, and is
    not refused.

    Args:
        reason: Why, and what to do, such as "has no effect with --grid: omit one of them".
        names: The parameters of the options.

    Raises:
        click.UsageError: One of the options is given. The message has its flag and the reason.
    """
    context = click.get_current_context()
    for option in context.command.params:
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} {reason}")


def name_variables(command: click.Command, prefix: str) -> None:
    """Give each option without an environment variable one, which the help text shows.

    `--text-column` of the command `run` in a group gets `<prefix>RUN_TEXT_COLUMN`.

    Args:
        command: A command, or a group whose commands are all named.
        prefix: The first part of the names, such as `UNDERTONE_BATCH_`.
    """
    if isinstance(command, click.Group):
        for name, subcommand in command.commands.items():
            name_variables(subcommand, f"{prefix}{name}_")
    for flag, option in flags(command).items():
        if option.envvar is None:
            option.envvar = f"{prefix}{flag}".upper().replace("-", "_")
        option.show_envvar = True


def flags(command: click.Command) -> dict[str, click.Option]:
    """The options of a command by their long flags, without the dashes and without --version."""
    return {
        max(option.opts, key=len).removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option) and not option.is_eager
    }


def _apply(options: Sequence[Decorator[Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def _names(options: Sequence[Decorator[Any]]) -> list[str]:
    """The arguments that these options add to a command."""
    probe = click.command(name="probe")(_apply(options, lambda **values: None))
    return [str(parameter.name) for parameter in probe.params]
