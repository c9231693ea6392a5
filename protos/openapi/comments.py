"""The comments of .proto files."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

_MEMBERS: Final = (
    (FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER, "message_type", DescriptorProto.FIELD_FIELD_NUMBER, "field"),
    (FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER, "enum_type", EnumDescriptorProto.VALUE_FIELD_NUMBER, "value"),
    (FileDescriptorProto.SERVICE_FIELD_NUMBER, "service", ServiceDescriptorProto.METHOD_FIELD_NUMBER, "method"),
)
"""Lists of a file and of their elements, each with the field number that is its place in a path."""


def comments(descriptors: FileDescriptorSet) -> Mapping[str, str]:
    """The comment above each definition, by full name, and empty if there is none.

    The name of an enum's value begins with that of the enum. Definitions in messages are left out.
    """
    return {name: text for file in descriptors.file for name, text in _comments(file)}


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    texts = {tuple(location.path): location.leading_comments for location in file.source_code_info.location}

    def named(scope: str, path: tuple[int, ...], definitions: Sequence[Any]) -> Iterator[tuple[str, str]]:
        for index, definition in enumerate(definitions):
            lines = texts.get((*path, index), "").rstrip().splitlines()
            yield f"{scope}.{definition.name}", "\n".join(line.removeprefix(" ") for line in lines)

    for number, name, inner_number, inner_name in _MEMBERS:
        definitions = getattr(file, name)
        yield from named(file.package, (number,), definitions)
        for index, definition in enumerate(definitions):
            scope = f"{file.package}.{definition.name}"
            yield from named(scope, (number, index, inner_number), getattr(definition, inner_name))
