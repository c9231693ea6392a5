"""Options from a configuration file and from environment variables, for every command.

The command line has precedence over environment variables, these over the file, and the file over
the defaults.
"""

import tomllib
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource
from undertone_telemetry.options import ENVIRONMENT_PREFIX, flags, name_variables, telemetry_options

FILE_NAME: Final = "undertone.toml"
"""The configuration file in the current folder."""


def user_file() -> Path:
    """The configuration file of the user."""
    return Path(click.get_app_dir("undertone")) / "config.toml"


def make_configurable(command: click.Command, name: str, commands: Collection[str]) -> None:
    """Give each option of a command an environment variable and a key in the configuration file.

    Args:
        command: the command. A second call changes nothing.
        name: the name of the command, which is that of its table in the file.
        commands: the names of all commands.
    """
    options = flags(command)
    if not options or any(option.name == "config" for option in command.params):
        return
    name_variables(command, f"{ENVIRONMENT_PREFIX}{name}_")

    def load(context: click.Context, _option: click.Parameter, value: str | None) -> None:
        path = Path(value) if value else next(filter(Path.is_file, (Path(FILE_NAME), user_file())), None)
        if path is not None:
            context.default_map = _ConfigurationFile(path).defaults(context, name, options, commands)

    command.params.append(
        click.Option(
            ["--config"],
            type=click.Path(exists=True, dir_okay=False),
            callback=load,
            is_eager=True,
            expose_value=False,
            envvar=f"{ENVIRONMENT_PREFIX}CONFIG",
            show_envvar=True,
            metavar="FILE",
            help=f"TOML file with options in the table [{name}]. Command line and environment have precedence.  [default: "
            f"{FILE_NAME} in the current folder, else config.toml in the user's folder {user_file().parent}]",
        )
    )


def configured_flags(context: click.Context) -> frozenset[str]:
    """The flags of options whose values are from the configuration file or the environment."""
    configured = {ParameterSource.DEFAULT_MAP, ParameterSource.ENVIRONMENT}
    return frozenset(
        flag
        for option in context.command.params
        if context.get_parameter_source(str(option.name)) in configured
        for flag in (*option.opts, *option.secondary_opts)
    )


def _shared_options() -> dict[str, click.Option]:
    """The options that the file may also have outside its tables, for all commands with them."""
    from undertone_client.jobs import connection_options, policy_option, retry_options

    def command(**_: object) -> None:
        pass

    return flags(click.command()(connection_options(retry_options(policy_option(telemetry_options()(command))))))


class _ConfigurationFile:
    """A configuration file. Errors are UsageErrors that name the file and the key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def defaults(
        self, context: click.Context, command: str, options: Mapping[str, click.Option], commands: Collection[str]
    ) -> dict[str, Any]:
        """The values of the file for the options of a command, by the names of the parameters."""
        document = self._read()
        tables = {key: value for key, value in document.items() if isinstance(value, dict)}
        shared = {key: value for key, value in document.items() if key not in tables}
        for name in tables:
            if name not in commands:
                raise self._unknown("command", name, commands, f"[{name}]")
        if shared:
            known = _shared_options()
            for key in shared:
                if key in options and key not in known:
                    raise click.UsageError(f"{self._path}, {key}: write this option below the line [{command}]")
                if key not in known:
                    raise self._unknown("option for all commands", key, known, key)
            shared = {key: value for key, value in shared.items() if key in options}
        table = tables.get(command, {})
        for key in table:
            if key not in options:
                raise self._unknown(f"option for {command}", key, options, f"[{command}] {key}")
        places = {**{key: key for key in shared}, **{key: f"[{command}] {key}" for key in table}}
        values = {**shared, **table}
        for key, value in values.items():
            self._check(context, options[key], value, places[key])
        return {str(options[key].name): value for key, value in values.items()}

    def _read(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise click.UsageError(f"{self._path} cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError as error:
            raise click.UsageError(
                f"{self._path} is not valid TOML: byte {error.start} is not UTF-8: convert the file"
            ) from None
        except ValueError as error:
            remedy = ". Write strings in double quotes." if str(error).startswith("Invalid value") else ""
            raise click.UsageError(f"{self._path} is not valid TOML: {error}{remedy}") from None

    def _unknown(self, kind: str, name: str, known: Collection[str], place: str) -> click.UsageError:
        similar = get_close_matches(name, known, n=1)
        remedy = f"did you mean {similar[0]}?" if similar else f"use one of {', '.join(sorted(known))}"
        return click.UsageError(f"{self._path}, {place}: there is no {kind} {name!r}; {remedy}")

    def _check(self, context: click.Context, option: click.Option, value: object, place: str) -> None:
        if option.multiple != isinstance(value, list):
            expected = "a list of values in brackets" if option.multiple else "one value"
            # Without the value, which may be a credential of a catalogue.
            raise click.UsageError(f"{self._path}, {place}: the value must be {expected}")
        if option.is_flag != isinstance(value, bool):
            expected = "true or false" if option.is_flag else f"a value of --{place.rpartition(' ')[2]}"
            raise click.UsageError(f"{self._path}, {place}: {value!r} is not {expected}")
        if isinstance(value, float) and isinstance(option.type, click.IntRange):  # click would cut off the fraction
            raise click.UsageError(f"{self._path}, {place}: {value!r} is not an integer")
        try:
            option.process_value(context, value)
        except click.UsageError as error:
            raise click.UsageError(f"{self._path}, {place}: {error.message}") from None
