"""Checked access to the fields of JSON objects."""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from undertone_sidecar.errors import RequestError
from undertone_sidecar.open_inference.parameters import shown

_T = TypeVar("_T")

_KINDS: dict[type, str] = {str: "a string", int: "an integer", bool: "true or false", list: "an array", dict: "an object"}


def as_object(value: object, what: str, known: Collection[str]) -> Mapping[str, Any]:
    """An object that has known fields only. Raises RequestError."""
    fields = typed(value, dict, what)
    for name in fields:
        if name not in known:
            raise RequestError(f"{what} has the unknown field {shown(name)}: send {', '.join(known)} only")
    return fields


def typed(value: object, kind: type[_T], what: str) -> _T:
    """The value if it is of this kind. Raises RequestError."""
    # A bool is an int in Python, but not in JSON.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RequestError(f"{what} must be {_KINDS[kind]}")
    return value


def optional(fields: Mapping[str, Any], name: str, kind: type[_T], what: str) -> _T | None:
    """A field that may be null or missing. Raises RequestError."""
    value = fields.get(name)
    return None if value is None else typed(value, kind, f"{name} of {what}")


def required(fields: Mapping[str, Any], name: str, kind: type[_T], what: str) -> _T:
    """A field that must be there. Raises RequestError."""
    value = optional(fields, name, kind, what)
    if value is None:
        raise RequestError(f"{name} of {what} is missing: send {_KINDS[kind]}")
    return value
