"""The OpenAPI document of the public API."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf import json_format, struct_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from undertone_protos.v1 import classifier_pb2

from protos.openapi.__main__ import TARGET, generated

DOCUMENT: Final[dict[str, Any]] = json.loads(TARGET.read_text())
SERVICE: Final = classifier_pb2.DESCRIPTOR.services_by_name["Classifier"]
OPERATIONS: Final[dict[str, Any]] = {
    path[verb]["operationId"]: path[verb] for path in DOCUMENT["paths"].values() for verb in ("get", "post") if verb in path
}
METHODS: Final = {name[0].lower() + name[1:]: method for name, method in SERVICE.methods_by_name.items()}


def errors_of(value: object, schema: Mapping[str, Any]) -> list[str]:
    """The violations of a schema of the document."""
    root = {**schema, "components": DOCUMENT["components"]}
    return [error.message for error in Draft202012Validator(root).iter_errors(value)]


def schema_of(message: Message) -> Mapping[str, Any]:
    return {"$ref": f"#/components/schemas/{message.DESCRIPTOR.name}"}


def test_the_document_is_up_to_date_and_valid() -> None:
    assert generated() == TARGET.read_text()
    validate(DOCUMENT)


def test_every_method_has_an_operation() -> None:
    assert METHODS.keys() <= OPERATIONS.keys()
    assert "/v1/paragraphs:classifyBatch" in DOCUMENT["paths"]


def examples(part: Any) -> Iterator[tuple[Any, Any]]:
    """All examples in a part of the document, with their schemas."""
    if isinstance(part, dict):
        schema = part.get("schema")
        if schema and "example" in part:
            yield schema, part["example"]
        for example in part["examples"].values() if schema and "examples" in part else ():
            yield schema, example["value"]
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from examples(inner)


def test_examples_conform_to_their_schemas() -> None:
    found = list(examples(DOCUMENT))
    assert len(found) > 15
    for schema, example in found:
        assert errors_of(example, schema) == [], example


def test_examples_of_methods_are_their_messages() -> None:
    for name, method in METHODS.items():
        operation = OPERATIONS[name]
        for _, example in examples(operation.get("requestBody", {})):
            json_format.ParseDict(example, GetMessageClass(method.input_type)())
        for _, example in examples(operation["responses"]["200"]):
            json_format.ParseDict(example, GetMessageClass(method.output_type)())


_SCALARS: Final[Mapping[int, st.SearchStrategy[Any]]] = {
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
    FieldDescriptor.TYPE_FLOAT: st.floats(0, 1, width=32),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_STRING: st.text(min_size=1, max_size=5),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
}


def messages(descriptor: Descriptor) -> st.SearchStrategy[Message]:
    """Messages with any values. One field of each oneof is set; other messages may be absent."""
    kind = GetMessageClass(descriptor)
    if descriptor.full_name == "google.protobuf.Timestamp":
        return st.builds(kind, seconds=st.integers(0, 2**32))
    if descriptor.full_name == "google.protobuf.Any":
        return st.just(kind()).map(lambda any_: any_.Pack(struct_pb2.Value(bool_value=True)) or any_)  # type: ignore[attr-defined]
    chosen = st.tuples(*(st.sampled_from([field.name for field in oneof.fields]) for oneof in descriptor.oneofs))
    fields = {field.name: value_of(field) for field in descriptor.fields if field.containing_oneof is None}
    return chosen.flatmap(
        lambda names: st.builds(kind, **fields, **{name: value_of(descriptor.fields_by_name[name]) for name in names})
    )


def value_of(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if (message := field.message_type) is not None:
        value: st.SearchStrategy[Any] = st.deferred(lambda: messages(message))
    elif field.enum_type is not None:
        value = st.sampled_from([value.number for value in field.enum_type.values])
    else:
        value = _SCALARS[field.type]
    if field.is_repeated:
        return st.lists(value, min_size=1, max_size=2)
    return value if message is None or field.containing_oneof else st.none() | value


@given(st.sampled_from(list(METHODS.values())).flatmap(lambda method: messages(method.output_type)))
def test_responses_conform_to_their_schema(message: Message) -> None:
    printed = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    assert errors_of(printed, schema_of(message)) == []


@given(
    st.sampled_from([method for method in METHODS.values() if method.input_type.fields]).flatmap(
        lambda method: messages(method.input_type)
    ),
    st.text(),
)
def test_requests_conform_to_their_schema_and_may_have_no_unknown_field(message: Message, name: str) -> None:
    printed = json_format.MessageToDict(message)
    assert errors_of(printed, schema_of(message)) == []
    if name not in message.DESCRIPTOR.fields_by_camelcase_name:
        assert errors_of(printed | {name: "rain"}, schema_of(message)) != []
