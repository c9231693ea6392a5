"""Decodes requests in JSON, as strictly as the chart's Envoy (requests.lua)."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from undertone_sidecar.http.json_text import JsonError, JsonLimits, parse_json

_SHOWN_CHARACTERS: Final = 40
"""Maximum length of a field's name in an error."""

_INT32: Final = range(-(2**31), 2**31)

_NUMBER: Final = re.compile("-?[0-9]{1,10}")
"""The number of an enum's value, which may also be a string."""

_MAX_DIGITS: Final = 20
"""Python needs quadratic time for the digits of an integer."""


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object whose fields may be repeated."""

    fields: list[tuple[str, Any]]


def decode_json(body: bytes, request: Message, limits: JsonLimits) -> Iterator[None]:
    """Sets the fields of an empty request, in steps that take milliseconds for a large body.

    Unknown and repeated fields are refused. A field with null is not set. The time is bounded,
    because what needs time is counted first. Fields may be strings, enums and messages.

    Args:
        body: A JSON object in UTF-8.
        request: The message to fill.
        limits: What is counted.

    Raises:
        JsonError: The body is not a request.
    """
    value = yield from parse_json(body, limits, object_pairs_hook=_Object, parse_int=_integer)
    yield
    _fill(request, value, "the request")


def _integer(digits: str) -> int:
    return int(digits[:_MAX_DIGITS])


def _fill(message: Message, value: object, name: str) -> None:
    if not isinstance(value, _Object):
        raise JsonError(f"{name} must be an object")
    known, list_of_names = _fields(message.DESCRIPTOR)
    seen = set()
    for key, content in value.fields:
        field = known.get(key)
        if field is None:
            shown = json.dumps(key[:_SHOWN_CHARACTERS])
            raise JsonError(f"the field {shown} of {name} is unknown: send {list_of_names}")
        if field.number in seen:
            raise JsonError(f"the field {field.json_name} of {name} is repeated: send it once")
        seen.add(field.number)
        if content is not None:
            _set(message, field, content)


@lru_cache
def _fields(descriptor: Descriptor) -> tuple[dict[str, FieldDescriptor], str]:
    """The fields by all their names, and a list of them for errors."""
    fields = list(descriptor.fields)
    names = [field.json_name for field in fields]
    known = {name: field for field in fields for name in (field.json_name, field.name)}
    return known, " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _set(message: Message, field: FieldDescriptor, value: object) -> None:
    name = field.json_name
    if field.is_repeated:
        if not isinstance(value, list):
            raise JsonError(f"{name} must be an array")
        elements = getattr(message, field.name)
        for element in value:
            _fill(elements.add(), element, f"an element of {name}")
    elif field.enum_type is not None:
        setattr(message, field.name, _number(field.enum_type, name, value))
    elif not isinstance(value, str):
        raise JsonError(f"{name} must be a string")
    else:
        try:
            setattr(message, field.name, value)
        except UnicodeEncodeError:
            raise JsonError(f"{name} contains half of a surrogate pair: send both halves, or the character") from None


def _number(enum: EnumDescriptor, name: str, value: object) -> int:
    numbers = _numbers(enum)
    if isinstance(value, str) and value in numbers:
        return numbers[value]
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value in _INT32:
        return value
    shown = json.dumps(value[:_SHOWN_CHARACTERS]) if isinstance(value, str) else "the value"
    raise JsonError(f"{shown} of {name} is unknown: send one of {', '.join(_names(enum))}")


@lru_cache
def _numbers(enum: EnumDescriptor) -> dict[str, int]:
    """The numbers by their names. `enum.values_by_name` fails for half of a surrogate pair."""
    return {value.name: value.number for value in enum.values}


def _names(enum: EnumDescriptor) -> Iterable[str]:
    """The last name of each number except zero: the short one, where there are two."""
    return {value.number: value.name for value in enum.values if value.number}.values()
