"""JSON schemas of messages in proto3's JSON mapping, as the service reads and writes it.

Requests have no unknown fields, and null stands for an absent field. Responses have all fields
without presence, and may have further fields in later versions.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Json: TypeAlias = dict[str, Any]

_SCALARS: Final[Mapping[int, Json]] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "format": "uint32", "minimum": 0},
}

_WELL_KNOWN: Final[Mapping[str, Json]] = {
    "google.protobuf.Any": {"type": "object", "properties": {"@type": {"type": "string"}}, "required": ["@type"]},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
}


class Schemas:
    """Collects the schemas of requests, or of responses, and of all types that they contain.

    Attributes:
        found: The schemas so far, by the name of the type without its package.
    """

    def __init__(self, comments: Mapping[str, str], fields: Mapping[str, Json], *, of_requests: bool) -> None:
        """`fields` has the constraints of fields, by full name.

        The constraint "required" is not of JSON Schema: a request without the field is invalid.
        """
        self._comments = comments
        self._fields = fields
        self._of_requests = of_requests
        self.found: dict[str, Json] = {}

    def message(self, message: Descriptor) -> Json:
        """A reference to the schema of a message, which has at most one oneof."""
        if message.full_name in _WELL_KNOWN:
            return _WELL_KNOWN[message.full_name]
        if message.name not in self.found:
            schema = self._description(message.full_name)
            self.found[message.name] = schema
            chosen = [field for field in message.fields if field.containing_oneof]
            others = [field for field in message.fields if not field.containing_oneof]
            if chosen:
                # An object for each choice: generators of clients ignore properties beside oneOf.
                schema["oneOf"] = [
                    {"title": f"{message.name} {field.name}"} | self._object([*others, field], needs=field) for field in chosen
                ]
            else:
                schema |= self._object(others)
        return {"$ref": f"#/components/schemas/{message.name}"}

    def _object(self, fields: Sequence[FieldDescriptor], *, needs: FieldDescriptor | None = None) -> Json:
        schema: Json = {"type": "object", "properties": {field.json_name: self._field(field) for field in fields}}
        if required := [field.json_name for field in fields if field is needs or self._is_required(field)]:
            schema["required"] = required
        return schema | ({"additionalProperties": False} if self._of_requests else {})

    def _field(self, field: FieldDescriptor) -> Json:
        constraints = {name: value for name, value in self._fields.get(field.full_name, {}).items() if name != "required"}
        schema = self._type(field)
        if field.is_repeated:
            schema = {"type": "array", "items": schema}
        if self._of_requests and not self._is_required(field):
            schema = schema | {"type": [schema["type"], "null"]} if "type" in schema else {"anyOf": [schema, {"type": "null"}]}
        return schema | self._description(field.full_name) | constraints

    def _type(self, field: FieldDescriptor) -> Json:
        if field.message_type is not None:
            return self.message(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        return _SCALARS[field.type]

    def _enum(self, enum: EnumDescriptor) -> Json:
        # Responses have the first name of a number. Requests may have any name, or the number.
        first = {value.number: value.name for value in reversed(enum.values)}
        names = [value.name for value in enum.values if self._of_requests or first[value.number] == value.name]
        schema: Json = {"type": "string", "enum": names}
        if self._of_requests:
            schema = {"anyOf": [schema, {"type": "integer", "enum": sorted(first)}]}
        texts = {name: self._comments[f"{enum.full_name}.{name}"].replace("\n", " ") for name in names}
        values = "\n".join(f"- `{name}`: {text}" for name, text in texts.items() if text)
        self.found[enum.name] = schema | {"description": f"{self._comments[enum.full_name]}\n\n{values}"}
        return {"$ref": f"#/components/schemas/{enum.name}"}

    def _is_required(self, field: FieldDescriptor) -> bool:
        if self._of_requests:
            return bool(self._fields.get(field.full_name, {}).get("required"))
        return not field.has_presence

    def _description(self, full_name: str) -> Json:
        text = self._comments.get(full_name)
        return {"description": text} if text else {}
