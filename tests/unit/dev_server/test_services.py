"""The API over real sockets, with the official stubs and with our wire-compatible stubs."""

from collections.abc import Callable

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import NDArray
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from undertone_protos import tf_serving
from undertone_protos.tfserving.v1 import predict_pb2 as ours
from undertone_protos.tfserving.v1 import tensor_pb2 as our_tensors

MakeRequest = Callable[..., predict_pb2.PredictRequest]
Change = Callable[[predict_pb2.PredictRequest], object]


def predict(channel: grpc.Channel, request: predict_pb2.PredictRequest, timeout: float = 30) -> predict_pb2.PredictResponse:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=timeout)


def failure(call: Callable[[], object]) -> tuple[grpc.StatusCode, str | None]:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return error.value.code(), error.value.details()


def expected_probabilities() -> NDArray[np.float32]:
    """The tiny model's answer to the two rows of `make_request`, computed with NumPy."""
    table = np.linspace(0, 1, 30, dtype=np.float32).reshape(10, 3)
    sums = np.stack([table[[1, 2, 3]].sum(0), table[[4, 5]].sum(0)])
    powers = np.exp(sums)
    probabilities: NDArray[np.float32] = powers / powers.sum(1, keepdims=True)
    return probabilities


@pytest.mark.parametrize("which", [0, 1], ids=["tcp", "unix"])
def test_predict_on_both_sockets(sockets: tuple[str, str], which: int, make_request: MakeRequest) -> None:
    with grpc.insecure_channel(sockets[which]) as channel:
        response = predict(channel, make_request())
    np.testing.assert_allclose(tf.make_ndarray(response.outputs["probabilities"]), expected_probabilities(), rtol=1e-5)
    assert response.model_spec.name == "emotions"
    assert response.model_spec.version.value == 3
    assert response.model_spec.signature_name == "serving_default"


@pytest.mark.parametrize("spec", [{"version": {"value": 3}}, {"signature_name": "serving_default"}], ids=str)
def test_predict_by_version_and_signature(channel: grpc.Channel, make_request: MakeRequest, spec: dict[str, object]) -> None:
    response = predict(channel, make_request(**spec))
    assert list(response.outputs) == ["probabilities"]
    assert response.model_spec.version.value == 3


async def test_our_stubs_are_wire_compatible(sockets: tuple[str, str]) -> None:
    request = ours.PredictRequest(model_spec=ours.ModelSpec(name="emotions"), output_filter=["probabilities"])
    for alias, values in (("input_ids", [1, 2, 3, 4, 5, 0]), ("attention_mask", [1, 1, 1, 1, 1, 0])):
        tensor = request.inputs[alias]
        tensor.dtype = our_tensors.DATA_TYPE_INT32
        tensor.tensor_shape.dim.add(size=2)
        tensor.tensor_shape.dim.add(size=3)
        tensor.tensor_content = np.array(values, np.int32).tobytes()
    async with grpc.aio.insecure_channel(sockets[1]) as channel:
        prediction = tf_serving.PredictionServiceStub(channel)
        prediction_response = await prediction.Predict(request)
        metadata = await prediction.GetModelMetadata(
            ours.GetModelMetadataRequest(model_spec=ours.ModelSpec(name="emotions"), metadata_field=["signature_def"])
        )
        status = await tf_serving.ModelServiceStub(channel).GetModelStatus(
            ours.GetModelStatusRequest(model_spec=ours.ModelSpec(name="emotions"))
        )
    np.testing.assert_allclose(
        np.reshape(prediction_response.outputs["probabilities"].float_val, (2, 3)), expected_probabilities(), rtol=1e-5
    )
    signatures = ours.SignatureDefMap.FromString(metadata.metadata["signature_def"].value)
    signature = signatures.signature_def["serving_default"]
    assert {alias: info.dtype for alias, info in signature.inputs.items()} == {
        "input_ids": our_tensors.DATA_TYPE_INT32,
        "attention_mask": our_tensors.DATA_TYPE_INT32,
    }
    assert [dim.size for dim in signature.outputs["probabilities"].tensor_shape.dim] == [-1, 3]
    assert [(entry.version, entry.state) for entry in status.model_version_status] == [
        (3, ours.ModelVersionStatus.STATE_AVAILABLE)
    ]


def put(alias: str, array: np.ndarray) -> Change:
    return lambda request: request.inputs[alias].CopyFrom(tf.make_tensor_proto(array))


def spec(**fields: object) -> Change:
    return lambda request: request.model_spec.MergeFrom(predict_pb2.PredictRequest(model_spec=fields).model_spec)


INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND

REFUSALS: dict[str, tuple[Change, grpc.StatusCode, str]] = {
    "no spec": (lambda r: r.ClearField("model_spec"), INVALID, "Missing ModelSpec"),
    "no name": (lambda r: r.model_spec.ClearField("name"), INVALID, "ModelSpec has no name specified."),
    "unknown model": (spec(name="tone"), NOT_FOUND, "Servable not found for request: Latest(tone)"),
    "unknown model and version": (
        spec(name="tone", version={"value": 1}),
        NOT_FOUND,
        "Servable not found for request: Specific(tone, 1)",
    ),
    "unknown version": (spec(version={"value": 9}), NOT_FOUND, "Servable not found for request: Specific(emotions, 9)"),
    "version label": (spec(version_label="beta"), INVALID, "Unrecognized servable version label: beta"),
    "unknown signature": (
        spec(signature_name="classify"),
        grpc.StatusCode.FAILED_PRECONDITION,
        'Serving signature key "classify" not found.',
    ),
    "missing input": (
        lambda r: r.inputs.pop("attention_mask"),
        INVALID,
        "input size does not match signature: 1!=2 len({input_ids}) != len({attention_mask,input_ids}). "
        "Sent extra: {}. Missing but required: {attention_mask}.",
    ),
    "additional input": (
        put("position_ids", np.zeros((2, 3), np.int32)),
        INVALID,
        "input size does not match signature: 3!=2 len({attention_mask,input_ids,position_ids}) != "
        "len({attention_mask,input_ids}). Sent extra: {position_ids}. Missing but required: {}.",
    ),
    "wrong dtype": (
        put("input_ids", np.zeros((2, 3), np.float32)),
        INVALID,
        "Expects arg[1] to be int32 but float is provided",
    ),
    "integer dtype of the wrong width": (
        put("attention_mask", np.zeros((2, 3), np.int64)),
        INVALID,
        "Expects arg[0] to be int32 but int64 is provided",
    ),
    "scalar in place of a matrix": (put("attention_mask", np.array(1, np.int32)), INVALID, "Attempting to slice scalar input."),
    "rank 3 in place of a matrix": (put("input_ids", np.zeros((2, 2, 5), np.int32)), INVALID, "Incompatible shapes: "),
    "inputs with different shapes": (put("input_ids", np.zeros((2, 4), np.int32)), INVALID, "Incompatible shapes: "),
    "index outside the vocabulary": (put("input_ids", np.full((2, 3), 99, np.int32)), INVALID, "indices[0,0] = 99 is not in"),
    "tensor with incomplete content": (
        lambda r: setattr(r.inputs["input_ids"], "tensor_content", b"123"),
        INVALID,
        "tensor parsing error: input_ids",
    ),
    "no dtype": (
        lambda r: setattr(r.inputs["input_ids"], "dtype", types_pb2.DT_INVALID),
        INVALID,
        "tensor parsing error: input_ids",
    ),
    "unknown output": (
        lambda r: r.output_filter.append("logits"),
        INVALID,
        "output tensor alias not found in signature: logits Outputs expected to be in the set {probabilities}.",
    ),
    "repeated output": (
        lambda r: r.output_filter.extend(["probabilities", "probabilities"]),
        INVALID,
        "duplicate output tensor alias: probabilities",
    ),
}


@pytest.mark.parametrize(("change", "code", "message"), REFUSALS.values(), ids=REFUSALS)
def test_predict_refuses_as_tf_serving_does(
    channel: grpc.Channel, make_request: MakeRequest, change: Change, code: grpc.StatusCode, message: str
) -> None:
    request = make_request()
    change(request)
    status, details = failure(lambda: predict(channel, request))
    assert status is code
    assert details is not None
    assert details.startswith(message)


def test_metadata_contains_every_signature(channel: grpc.Channel) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "emotions"
    response = prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "spin"} <= set(signatures.signature_def)
    assert (response.model_spec.name, response.model_spec.version.value) == ("emotions", 3)


@pytest.mark.parametrize(
    ("fields", "name", "code", "message"),
    [
        ([], "emotions", INVALID, "GetModelMetadataRequest must specify at least one metadata_field"),
        (["weights"], "emotions", INVALID, "Metadata field weights is not supported"),
        (["signature_def"], "tone", NOT_FOUND, "Servable not found for request: Latest(tone)"),
        (["signature_def"], None, INVALID, "Missing ModelSpec"),
    ],
)
def test_metadata_refuses(channel: grpc.Channel, fields: list[str], name: str, code: grpc.StatusCode, message: str) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    if name is not None:
        request.model_spec.name = name
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    assert failure(lambda: stub.GetModelMetadata(request)) == (code, message)


def test_status_of_a_version(channel: grpc.Channel) -> None:
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    # TF Serving ignores a version label here, but not in Predict.
    for spec_fields in ({}, {"version": {"value": 3}}, {"version_label": "beta"}):
        request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "emotions", **spec_fields})
        (status,) = stub.GetModelStatus(request).model_version_status
        assert (status.version, status.state) == (3, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
        assert (status.status.error_code, status.status.error_message) == (0, "")


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"name": "tone"}, NOT_FOUND, "Could not find any versions of model tone"),
        ({"name": "emotions", "version": {"value": 9}}, NOT_FOUND, "Could not find version 9 of model emotions"),
        ({"name": "tone", "version_label": "beta"}, NOT_FOUND, "Could not find any versions of model tone"),
        ({"name": ""}, NOT_FOUND, "Could not find any versions of model "),
        (None, INVALID, "Missing ModelSpec"),
    ],
)
def test_status_refuses(channel: grpc.Channel, fields: dict[str, object] | None, code: grpc.StatusCode, message: str) -> None:
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=fields)
    assert failure(lambda: stub.GetModelStatus(request)) == (code, message)


def test_unsupported_methods_are_unimplemented(channel: grpc.Channel) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    code, message = failure(lambda: stub.Classify(classification_pb2.ClassificationRequest()))
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "does not implement Classify" in str(message)


@pytest.mark.parametrize("service", ["", "PredictionService", "ModelService"])
def test_health_of_each_service_is_reported(channel: grpc.Channel, service: str) -> None:
    response = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_names_with_the_package_is_unknown(channel: grpc.Channel) -> None:
    request = health_pb2.HealthCheckRequest(service="tensorflow.serving.PredictionService")
    assert failure(lambda: health_pb2_grpc.HealthStub(channel).Check(request))[0] is NOT_FOUND


def test_deadline_ends_the_call(channel: grpc.Channel) -> None:
    request = predict_pb2.PredictRequest(model_spec={"name": "emotions", "signature_name": "spin"})
    request.inputs["count"].CopyFrom(tf.make_tensor_proto(2**31 - 1, dtype=tf.int32))
    assert failure(lambda: predict(channel, request, timeout=0.2))[0] is grpc.StatusCode.DEADLINE_EXCEEDED


def test_messages_may_exceed_grpcs_default_size(channel: grpc.Channel, make_request: MakeRequest) -> None:
    request = make_request()
    for alias in request.inputs:
        put(alias, np.ones((1, 2_000_000), np.int32))(request)
    assert request.ByteSize() > 4 * 2**20
    assert len(predict(channel, request).outputs["probabilities"].float_val) == 3
