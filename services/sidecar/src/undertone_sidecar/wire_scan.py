"""Finds the fields of an encoded protobuf message without decoding it.

The decoder creates an object for each nested message. A message of 2.7 MB can contain 1.3 million
nested messages, which block the event loop for seconds. The scan stops at a maximum of fields.
"""

from typing import Final, TypeAlias

Field: TypeAlias = tuple[int, int, int]
"""A length-delimited field: its number, and start and stop of its content in the message."""

_MAX_VARINT_BYTES: Final = 10


class TooManyFieldsError(ValueError):
    """The message has more fields than the scanner may read."""


class MalformedError(ValueError):
    """The bytes are not a protobuf message."""


class FieldScanner:
    """Finds length-delimited fields: texts and nested messages.

    Groups, which proto3 does not have, are read as if their fields belonged to the message.
    """

    def __init__(self, max_fields: int) -> None:
        """`max_fields` is the maximum number of fields, of any type, for all scans together."""
        self._remaining = max_fields

    def scan(self, data: bytes, start: int, stop: int) -> list[Field]:
        """The length-delimited fields of the message in data[start:stop].

        Raises:
            TooManyFieldsError: The scanner has reached its maximum number of fields.
            MalformedError: A field exceeds the message, or has an unknown wire type.
        """
        fields = []
        position = start
        while position < stop:
            if not self._remaining:
                raise TooManyFieldsError
            self._remaining -= 1
            tag, position = _varint(data, position, stop)
            match tag & 7:
                case 0:  # varint
                    _, position = _varint(data, position, stop)
                case 1:  # 64 bits
                    position += 8
                case 2:  # length-delimited
                    length, position = _varint(data, position, stop)
                    fields.append((tag >> 3, position, position + length))
                    position += length
                case 3 | 4:  # start and end of a group
                    pass
                case 5:  # 32 bits
                    position += 4
                case _:
                    raise MalformedError
            if position > stop:
                raise MalformedError
        return fields


def _varint(data: bytes, position: int, stop: int) -> tuple[int, int]:
    """The number at `position`, and the position after it. Raises MalformedError."""
    value = shift = 0
    for index in range(position, min(position + _MAX_VARINT_BYTES, stop)):
        byte = data[index]
        if byte < 0x80:
            return value | byte << shift, index + 1
        value |= (byte & 0x7F) << shift
        shift += 7
    raise MalformedError
