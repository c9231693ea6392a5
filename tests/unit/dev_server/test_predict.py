"""Requests against a signature, without a server."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from undertone_dev_server import predict
from undertone_dev_server.errors import InvalidCallError
from undertone_dev_server.testing import FakeServable, echo_signature


def request_of(*aliases: str) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    for alias in aliases:
        request.inputs[alias].CopyFrom(tf.make_tensor_proto([1, 2], dtype=tf.int32))
    return request


def test_an_answer_names_the_signature_that_was_used(tmp_path: Path) -> None:
    response = predict.run(FakeServable(tmp_path), request_of("x"), timeout=None)
    assert response.model_spec.signature_name == "serving_default"
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [1, 2]


def test_a_default_stands_in_for_a_missing_input() -> None:
    signature = echo_signature()
    signature.defaults["x"].CopyFrom(tf.make_tensor_proto([9], dtype=tf.int32))
    assert predict.plan({"serving_default": signature}, request_of()).feeds["x:0"].tolist() == [9]
    assert predict.plan({"serving_default": signature}, request_of("x")).feeds["x:0"].tolist() == [1, 2]


def test_an_input_without_a_default_is_named_though_others_have_one() -> None:
    signature = echo_signature()
    signature.inputs["z"].CopyFrom(signature.inputs["x"])
    signature.defaults["z"].CopyFrom(tf.make_tensor_proto([9], dtype=tf.int32))
    with pytest.raises(InvalidCallError, match=r"Signature input alias: x\(feed name: x:0\) not found in request"):
        predict.plan({"serving_default": signature}, request_of("z"))


def test_as_many_inputs_of_other_names() -> None:
    with pytest.raises(InvalidCallError, match="Signature input alias: x"):
        predict.plan({"serving_default": echo_signature()}, request_of("z"))


def test_any_rank_is_taken_where_the_signature_says_so() -> None:
    signature = echo_signature()
    signature.inputs["x"].tensor_shape.Clear()
    signature.inputs["x"].tensor_shape.unknown_rank = True
    request = request_of()
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.zeros((1, 2, 3), np.int32)))
    assert predict.plan({"serving_default": signature}, request).feeds["x:0"].shape == (1, 2, 3)


def test_a_fixed_size_is_kept_to() -> None:
    signature = echo_signature()
    signature.inputs["x"].tensor_shape.dim[0].size = 3
    with pytest.raises(InvalidCallError, match=r"input x has shape \[2\]; the signature takes \[3\]"):
        predict.plan({"serving_default": signature}, request_of("x"))


def test_no_filter_means_every_output() -> None:
    signature = echo_signature()
    signature.outputs["also"].CopyFrom(signature.outputs["y"])
    assert predict.plan({"serving_default": signature}, request_of("x")).fetches == {"also": "y:0", "y": "y:0"}
