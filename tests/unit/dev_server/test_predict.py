"""Requests against a signature."""

from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from undertone_dev_server import predict
from undertone_dev_server.errors import InvalidCallError
from undertone_dev_server.metrics import Metrics
from undertone_dev_server.testing import FakeServable, echo_signature


def request_of(*aliases: str) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    for alias in aliases:
        request.inputs[alias].CopyFrom(tf.make_tensor_proto([1, 2], dtype=tf.int32))
    return request


def test_response_names_the_signature(tmp_path: Path) -> None:
    response = predict.run(FakeServable(tmp_path), request_of("x"), None, Metrics())
    assert response.model_spec.signature_name == "serving_default"
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [1, 2]


def test_missing_input_has_its_default() -> None:
    signature = echo_signature()
    signature.defaults["x"].CopyFrom(tf.make_tensor_proto([9], dtype=tf.int32))
    assert predict.prepare({"serving_default": signature}, request_of()).feeds["x:0"].tolist() == [9]
    assert predict.prepare({"serving_default": signature}, request_of("x")).feeds["x:0"].tolist() == [1, 2]


def test_error_names_the_missing_input_without_a_default() -> None:
    signature = echo_signature()
    signature.inputs["z"].CopyFrom(signature.inputs["x"])
    signature.defaults["z"].CopyFrom(tf.make_tensor_proto([9], dtype=tf.int32))
    with pytest.raises(InvalidCallError, match=r"Signature input alias: x\(feed name: x:0\) not found in request"):
        predict.prepare({"serving_default": signature}, request_of("z"))


def test_input_with_a_wrong_name_is_refused() -> None:
    with pytest.raises(InvalidCallError, match="Signature input alias: x"):
        predict.prepare({"serving_default": echo_signature()}, request_of("z"))


def test_request_without_filter_returns_every_output() -> None:
    signature = echo_signature()
    signature.outputs["also"].CopyFrom(signature.outputs["y"])
    assert predict.prepare({"serving_default": signature}, request_of("x")).fetches == {"also": "y:0", "y": "y:0"}
