"""Dataclasses of settings as flags and environment variables: a field is a flag, its metadata the help and the bounds."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Final, Self, get_type_hints

PREFIX: Final = "UNDERTONE_"
"""Of the environment's variables."""

_METAVARS: Final = {Path: "DIR", str: "TEXT", int: "N", float: "SECONDS"}


def flag(
    meaning: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: Sequence[str] = (),
    unit: str | None = None,
    parse: Callable[[str], object] | None = None,
    fallback: str = "",
) -> Mapping[str, Any]:
    """Metadata of a field. `unit` is what the help calls the value, `parse` reads it where the field's type does not, and
    `fallback` is the environment's variable that counts where the field's own is not set."""
    bounds = {"least": least, "most": most, "choices": choices}
    return {"meaning": meaning, **bounds, "unit": unit, "parse": parse, "fallback": fallback}


def flag_name(name: str) -> str:
    """Of a field."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """The environment's variable for a field."""
    return PREFIX + name.upper()


def violations(settings: Any) -> Iterator[str]:
    """A sentence for each value that is out of bounds or none of its choices."""
    for setting in fields(settings):
        name, value = flag_name(setting.name), getattr(settings, setting.name)
        least, most, choices = (setting.metadata[bound] for bound in ("least", "most", "choices"))
        # Written so that not-a-number fails it, too.
        if least is not None and not value >= least:
            yield f"{name} is {value}; it must be at least {least}"
        if most is not None and not value <= most:
            yield f"{name} is {value}; it must be at most {most}"
        if choices and value not in choices:
            yield f"{name} is {value!r}; choose one of {', '.join(choices)}"


def read(
    kind: type[Any], arguments: Sequence[str], environment: Mapping[str, str], *, program: str, about: str, more: str
) -> dict[str, Any]:
    """Values of all fields, from flags, else the environment, else the defaults. Exits on --help and what does not parse."""
    parser = argparse.ArgumentParser(
        prog=program, description=about, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    types = get_type_hints(kind)
    # What the class adds comes before what it shares with others.
    inherited = {name for base in kind.__mro__[1:] for name in getattr(base, "__annotations__", {})}
    for setting in sorted(fields(kind), key=lambda setting: setting.name in inherited):
        _add(parser, setting, types[setting.name], environment)
    return vars(parser.parse_args(arguments))


def _add(parser: argparse.ArgumentParser, setting: "Field[Any]", kind: type[Any], environment: Mapping[str, str]) -> None:
    known = setting.default is not MISSING
    sources = (variable(setting.name), setting.metadata["fallback"])
    given = next((_Given(environment[source], source) for source in sources if environment.get(source)), None)
    switch = kind is bool
    shown = f" (default: {setting.default})" if known and setting.default != "" and not switch else ""
    parser.add_argument(
        flag_name(setting.name),
        metavar="true|false" if switch else setting.metadata["unit"] or _METAVARS[kind],
        type=_naming_its_source(_boolean if switch else setting.metadata["parse"] or kind),
        default=given or (setting.default if known else None),
        required=not (given or known),
        help=setting.metadata["meaning"] + shown,
        # --flag alone means --flag=true.
        nargs="?" if switch else None,
        const=True if switch else None,
    )


class _Given(str):
    """A value from the environment, which knows its variable."""

    __slots__ = ("variable",)
    variable: str

    def __new__(cls, text: str, variable: str) -> Self:
        given = super().__new__(cls, text)
        given.variable = variable
        return given


def _naming_its_source(parse: Callable[[str], object]) -> Callable[[str], object]:
    def parsed(text: str) -> object:
        try:
            return parse(text)
        except (ValueError, argparse.ArgumentTypeError) as error:
            said = str(error) if isinstance(error, argparse.ArgumentTypeError) else f"{text!r} cannot be read ({error})"
            source = f"{text.variable} in the environment: " if isinstance(text, _Given) else ""
            raise argparse.ArgumentTypeError(source + said) from None

    return parsed


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return values[text.lower()]
