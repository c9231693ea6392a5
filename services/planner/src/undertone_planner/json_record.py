"""Reads frozen dataclasses from JSON, and refuses what the dataclass does not declare."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

R = TypeVar("R")

_NAMES = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}


class RecordError(ValueError):
    """A document does not fit the dataclass. The message names the field."""


def read_record(kind: type[R], document: Mapping[str, Any], prefix: str = "") -> R:
    """An instance of the dataclass `kind` from a JSON object.

    Fields are integers, floats, strings, booleans, other dataclasses, or tuples of one of these
    (`tuple[int, ...]`). A field without a default is required. `prefix` is for messages.

    Raises:
        RecordError: A field is missing or unknown, or its value has the wrong type.
    """
    hints = get_type_hints(kind)
    if unknown := sorted(document.keys() - hints.keys()):
        raise RecordError(f"field {prefix}{unknown[0]} is unknown: the fields are {', '.join(hints)}")
    values = {}
    for field in fields(kind):  # type: ignore[arg-type] # kind is a dataclass
        if field.name in document:
            values[field.name] = _read_value(hints[field.name], document[field.name], prefix + field.name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise RecordError(f"field {prefix}{field.name} is missing")
    return kind(**values)


def _read_value(kind: Any, value: Any, name: str) -> Any:
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise RecordError(f"field {name} is {value!r}: a list is expected")
        return tuple(_read_value(get_args(kind)[0], each, f"{name}[{index}]") for index, each in enumerate(value))
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise RecordError(f"field {name} is {value!r}: an object is expected")
        return read_record(kind, value, f"{name}.")  # type: ignore[arg-type] # mypy narrows to an instance
    accepted = (int, float) if kind is float else (kind,)
    if type(value) not in accepted:
        raise RecordError(f"field {name} is {value!r}: {_NAMES[kind]} is expected")
    return kind(value)
