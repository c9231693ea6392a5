"""Wire compatibility of undertone.tfserving.v1 with the official tensorflow-serving-api."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    status_pb2,
)
from undertone_protos import tf_serving
from undertone_protos.tfserving.v1 import predict_pb2 as ours
from undertone_protos.tfserving.v1 import tensor_pb2 as our_tensors

PAIRS: dict[type[Message], type[Message]] = {
    ours.PredictRequest: predict_pb2.PredictRequest,
    ours.PredictResponse: predict_pb2.PredictResponse,
    ours.GetModelMetadataRequest: get_model_metadata_pb2.GetModelMetadataRequest,
    ours.GetModelMetadataResponse: get_model_metadata_pb2.GetModelMetadataResponse,
    ours.SignatureDefMap: get_model_metadata_pb2.SignatureDefMap,
    ours.SignatureDef: meta_graph_pb2.SignatureDef,
    ours.TensorInfo: meta_graph_pb2.TensorInfo,
    ours.GetModelStatusRequest: get_model_status_pb2.GetModelStatusRequest,
    ours.GetModelStatusResponse: get_model_status_pb2.GetModelStatusResponse,
    ours.ModelVersionStatus: get_model_status_pb2.ModelVersionStatus,
    ours.Status: status_pb2.StatusProto,
    ours.ModelSpec: model_pb2.ModelSpec,
    our_tensors.Tensor: tensor_pb2.TensorProto,
    our_tensors.TensorShape: tensor_shape_pb2.TensorShapeProto,
}
EXCHANGED = [pair for pair in PAIRS.items() if pair[0].DESCRIPTOR.name.endswith(("Request", "Response", "Tensor", "Map"))]

each_pair = pytest.mark.parametrize(("our_type", "official_type"), PAIRS.items(), ids=lambda side: side.DESCRIPTOR.full_name)
each_exchanged = pytest.mark.parametrize(("our_type", "official_type"), EXCHANGED, ids=lambda side: side.DESCRIPTOR.full_name)


def fields_of(descriptor: Any) -> dict[int, FieldDescriptor]:
    return {field.number: field for field in descriptor.fields}


def shared_fields(ours_: Any, theirs: Any) -> Iterator[tuple[FieldDescriptor, FieldDescriptor]]:
    """Pairs of our fields and the official fields with the same number.

    Raises KeyError if an official field is missing.
    """
    official = fields_of(theirs)
    for number, field in fields_of(ours_).items():
        yield field, official[number]


# --- Definitions ---


@each_pair
def test_every_field_has_the_official_definition(our_type: type[Message], official_type: type[Message]) -> None:
    for our_field, official_field in shared_fields(our_type.DESCRIPTOR, official_type.DESCRIPTOR):
        assert our_field.name == official_field.name
        assert our_field.is_repeated == official_field.is_repeated
        assert our_field.is_packed == official_field.is_packed
        # The official field is in a oneof with sparse tensors, which we do not support.
        if our_field.full_name != "undertone.tfserving.v1.TensorInfo.name":
            assert our_field.has_presence == official_field.has_presence
        if our_field.full_name == "undertone.tfserving.v1.Status.error_code":
            # The official field is an enum of gRPC codes, which is encoded like an int32.
            assert (our_field.type, official_field.type) == (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_ENUM)
        else:
            assert our_field.type == official_field.type


def test_every_exchanged_message_is_compared() -> None:
    reached: set[str] = set()

    def visit(descriptor: Any) -> None:
        if descriptor.full_name in reached or not descriptor.full_name.startswith("undertone."):
            return
        reached.add(descriptor.full_name)
        for field in descriptor.fields:
            if field.message_type is not None:
                visit(field.message_type)

    for our_type, _ in EXCHANGED:
        visit(our_type.DESCRIPTOR)
    compared = {our_type.DESCRIPTOR.full_name for our_type in PAIRS}
    nested = {name for name in reached if name.endswith("Entry")} | {"undertone.tfserving.v1.TensorShape.Dim"}
    assert reached - nested == compared


@pytest.mark.parametrize(
    ("our_enum", "official_enum", "our_prefix", "official_prefix"),
    [
        (our_tensors.DataType, types_pb2.DataType, "DATA_TYPE_", "DT_"),
        (ours.ModelVersionStatus.State, get_model_status_pb2.ModelVersionStatus.State, "STATE_", ""),
    ],
    ids=["DataType", "State"],
)
def test_enum_values_have_the_official_numbers(
    our_enum: Any, official_enum: Any, our_prefix: str, official_prefix: str
) -> None:
    zero = {"DT_": "INVALID", "": "UNKNOWN"}[official_prefix]
    for name, number in our_enum.items():
        plain = name.removeprefix(our_prefix)
        official = zero if plain == "UNSPECIFIED" else plain
        assert official_enum.Value(official_prefix + official) == number


def test_every_official_state_is_defined() -> None:
    assert set(ours.ModelVersionStatus.State.values()) == set(get_model_status_pb2.ModelVersionStatus.State.values())


class RecordingChannel:
    """A channel that records the method paths of stubs."""

    def __init__(self) -> None:
        self.paths: dict[str, str] = {}

    def unary_unary(self, path: str, **_: object) -> None:
        self.paths[path.rpartition("/")[2]] = path


@pytest.mark.parametrize(
    ("our_stub", "official_stub"),
    [
        (tf_serving.PredictionServiceStub, prediction_service_pb2_grpc.PredictionServiceStub),
        (tf_serving.ModelServiceStub, model_service_pb2_grpc.ModelServiceStub),
    ],
)
def test_method_paths_are_the_official_ones(our_stub: Any, official_stub: Any) -> None:
    our_channel, official_channel = RecordingChannel(), RecordingChannel()
    our_stub(our_channel)
    official_stub(official_channel)
    assert our_channel.paths
    for method, path in our_channel.paths.items():
        assert path == official_channel.paths[method]


# --- Encoding ---

SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_FLOAT: st.floats(width=32, allow_nan=False),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
    FieldDescriptor.TYPE_STRING: st.text(max_size=8),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
}


@st.composite
def messages(draw: st.DrawFn, kind: type[Message], like: Any) -> Message:
    """A message of the type `kind`. Only fields whose numbers `like` also defines have values."""
    message = kind()
    fill(draw, message, like)
    return message


def fill(draw: st.DrawFn, message: Any, like: Any) -> None:
    like_fields = fields_of(like)
    chosen_in_oneof: dict[str, FieldDescriptor] = {}
    for field in message.DESCRIPTOR.fields:
        if field.number not in like_fields or not draw(st.booleans()):
            continue
        if field.containing_oneof is not None and chosen_in_oneof.setdefault(field.containing_oneof.name, field) is not field:
            continue
        target = getattr(message, field.name)
        like_field = like_fields[field.number]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            assert value.message_type is not None, "the values of all maps are messages"
            assert like_field.message_type is not None, "the official field is a map, too"
            like_value = like_field.message_type.fields_by_name["value"].message_type
            for name in draw(st.lists(scalar(key, key), max_size=2, unique=True)):
                fill(draw, target[name], like_value)
        elif field.message_type is not None and field.is_repeated:
            for _ in range(draw(st.integers(0, 2))):
                fill(draw, target.add(), like_field.message_type)
        elif field.message_type is not None:
            target.SetInParent()
            fill(draw, target, like_field.message_type)
        elif field.is_repeated:
            target.extend(draw(st.lists(scalar(field, like_field), max_size=3)))
        else:
            setattr(message, field.name, draw(scalar(field, like_field)))


def scalar(field: FieldDescriptor, like: FieldDescriptor) -> st.SearchStrategy[Any]:
    enum = field.enum_type or like.enum_type
    if enum is not None:
        other = (like.enum_type or enum).values_by_number
        return st.sampled_from([number for number in enum.values_by_number if number in other])
    if field.has_presence != like.has_presence:
        return st.text(min_size=1, max_size=8)
    return SCALARS[field.type]


def assert_same_values(left: Any, right: Any) -> None:
    """Compares the fields that both messages define, by number."""
    other = fields_of(right.DESCRIPTOR)
    for field in left.DESCRIPTOR.fields:
        if field.number not in other:
            continue
        right_field = other[field.number]
        if field.has_presence and right_field.has_presence:
            assert left.HasField(field.name) == right.HasField(right_field.name), field.full_name
        left_value, right_value = getattr(left, field.name), getattr(right, right_field.name)
        if field.message_type is None:
            assert (list(left_value) == list(right_value)) if field.is_repeated else (left_value == right_value), (
                field.full_name
            )
        elif field.message_type.GetOptions().map_entry:
            assert set(left_value) == set(right_value), field.full_name
            for key in left_value:
                assert_same_values(left_value[key], right_value[key])
        elif field.is_repeated:
            assert len(left_value) == len(right_value), field.full_name
            for left_item, right_item in zip(left_value, right_value, strict=True):
                assert_same_values(left_item, right_item)
        elif left.HasField(field.name):
            assert_same_values(left_value, right_value)


@each_exchanged
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_official_types_read_our_messages(
    our_type: type[Message], official_type: type[Message], data: st.DataObject
) -> None:
    sent = data.draw(messages(our_type, official_type.DESCRIPTOR))
    wire = sent.SerializeToString(deterministic=True)
    received = official_type.FromString(wire)
    assert_same_values(sent, received)
    assert received.SerializeToString(deterministic=True) == wire


@each_exchanged
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_our_types_read_the_official_messages(
    our_type: type[Message], official_type: type[Message], data: st.DataObject
) -> None:
    sent = data.draw(messages(official_type, our_type.DESCRIPTOR))
    wire = sent.SerializeToString(deterministic=True)
    received = our_type.FromString(wire)
    assert_same_values(sent, received)
    assert received.SerializeToString(deterministic=True) == wire


def test_unknown_official_fields_are_preserved() -> None:
    """An official message keeps its additional fields when our types read and write it."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    signature = signatures.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    signature.inputs["sparse"].coo_sparse.values_tensor_name = "values:0"
    signature.outputs["ids"].dtype = types_pb2.DT_UINT32  # A data type that we do not define.
    signature.defaults["sparse"].uint32_val.append(7)

    received = ours.SignatureDefMap.FromString(signatures.SerializeToString())
    assert received.signature_def["serving_default"].method_name == "tensorflow/serving/predict"
    assert received.signature_def["serving_default"].inputs["sparse"].name == ""
    assert received.signature_def["serving_default"].outputs["ids"].dtype == types_pb2.DT_UINT32
    assert get_model_metadata_pb2.SignatureDefMap.FromString(received.SerializeToString()) == signatures


def test_signatures_in_metadata_have_the_official_type_url() -> None:
    signatures = get_model_metadata_pb2.SignatureDefMap()
    signatures.signature_def["serving_default"].inputs["input_ids"].dtype = types_pb2.DT_INT32
    sent = get_model_metadata_pb2.GetModelMetadataResponse(model_spec={"name": "emotions", "version": {"value": 3}})
    sent.metadata["signature_def"].Pack(signatures)

    received = ours.GetModelMetadataResponse.FromString(sent.SerializeToString())
    packed = received.metadata["signature_def"]
    assert isinstance(packed, any_pb2.Any)
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signature = ours.SignatureDefMap.FromString(packed.value).signature_def["serving_default"]
    assert signature.inputs["input_ids"].dtype == our_tensors.DATA_TYPE_INT32
    assert received.model_spec.version == wrappers_pb2.Int64Value(value=3)


def test_error_codes_are_those_of_grpc() -> None:
    for code in grpc.StatusCode:
        number = code.value[0]
        sent = status_pb2.StatusProto(error_code=number, error_message="x")
        assert ours.Status.FromString(sent.SerializeToString()) == ours.Status(error_code=number, error_message="x")
