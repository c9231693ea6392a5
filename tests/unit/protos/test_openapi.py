"""The OpenAPI document of the public API."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf import json_format, struct_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from undertone_protos.v1 import classifier_pb2

from protos.openapi.__main__ import TARGET, generated

DOCUMENT: Final[dict[str, Any]] = json.loads(TARGET.read_text())
SERVICE: Final = classifier_pb2.DESCRIPTOR.services_by_name["Classifier"]
OPERATIONS: Final = {operation["operationId"]: operation for path in DOCUMENT["paths"].values() for operation in path.values()}
METHODS: Final = {name[0].lower() + name[1:]: method for name, method in SERVICE.methods_by_name.items()}


def errors_of(value: object, schema: str) -> list[str]:
    """The violations of a schema of the document."""
    root = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    return [error.message for error in Draft202012Validator(root).iter_errors(value)]


def test_the_document_is_up_to_date_and_valid() -> None:
    assert generated() == TARGET.read_text()
    validate(DOCUMENT)


def test_every_method_has_an_operation() -> None:
    assert METHODS.keys() <= OPERATIONS.keys()
    assert "/v1/paragraphs:classifyBatch" in DOCUMENT["paths"]


def examples() -> Iterator[tuple[Descriptor, Any]]:
    """The examples of requests, responses and errors, each with its message."""
    for name, method in METHODS.items():
        operation = OPERATIONS[name]
        yield method.output_type, operation["responses"]["200"]["content"]["application/json"]["example"]
        if "requestBody" in operation:
            for example in operation["requestBody"]["content"]["application/json"]["examples"].values():
                yield method.input_type, example["value"]
    for response in DOCUMENT["components"]["responses"].values():
        yield status_pb2.Status.DESCRIPTOR, response["content"]["application/json"]["example"]


def test_examples_are_messages_of_the_method() -> None:
    for message, example in examples():
        json_format.ParseDict(example, GetMessageClass(message)())
        assert errors_of(example, message.name) == [], example


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
    assert errors_of(printed, message.DESCRIPTOR.name) == []


@given(
    st.sampled_from([method for method in METHODS.values() if method.input_type.fields]).flatmap(
        lambda method: messages(method.input_type)
    ),
    st.text(),
)
def test_requests_conform_to_their_schema_and_may_have_no_unknown_field(message: Message, name: str) -> None:
    printed = json_format.MessageToDict(message)
    assert errors_of(printed, message.DESCRIPTOR.name) == []
    if name not in message.DESCRIPTOR.fields_by_camelcase_name:
        assert errors_of(printed | {name: "rain"}, message.DESCRIPTOR.name) != []
