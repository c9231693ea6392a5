"""Options that belong together: declared once for all commands that have them, and handed over as one value."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import click
from undertone_client.errors import SettingsError
from undertone_telemetry.settings import TelemetryError

F = TypeVar("F", bound=Callable[..., Any])
Options = Callable[[F], F]


def option_group(argument: str, of: type[Any], *options: Options[Any], names: Sequence[str] | None = None) -> Options[Any]:
    """Adds options to a command, which is called with one `argument` in their place.

    Args:
        argument: the name of the command's argument.
        of: a dataclass; a SettingsError or TelemetryError of its own is told as a mistake in the options.
        options: made by `click.option`.
        names: the fields that the options are for; by default all.
    """
    given = [field.name for field in fields(of)] if names is None else names

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def run(**values: Any) -> Any:
            own = {name: values.pop(name) for name in given}
            try:
                made = of(**own)
            except (SettingsError, TelemetryError) as error:
                raise click.UsageError(str(error)) from None
            return command(**values, **{argument: made})

        decorated: Any = run
        for option in reversed(options):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate
