"""Shapes of inputs: TF Serving leaves them to the kernels, so that the answers are theirs.

`RunPredict` in TF Serving's predict_util.cc hands the tensors to the Session of C++, which compares
the dtypes, but neither the rank nor the dimensions with the TensorInfo or the placeholder.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2
from undertone_dev_server import predict
from undertone_dev_server.errors import GraphError
from undertone_dev_server.metrics import Metrics
from undertone_dev_server.saved_model import SavedModel, SavedModelLoader

tf1 = tf.compat.v1

Declare = Callable[[Any], None]


def without_shape(info: Any) -> None:
    info.ClearField("tensor_shape")


def of_unknown_rank(info: Any) -> None:
    info.ClearField("tensor_shape")
    info.tensor_shape.unknown_rank = True


def as_vector_of_7(info: Any) -> None:
    info.ClearField("tensor_shape")
    info.tensor_shape.dim.add(size=7)


def with_unknown_dimensions(info: Any) -> None:
    info.ClearField("tensor_shape")
    info.tensor_shape.dim.add(size=-1)
    info.tensor_shape.dim.add(size=-1)


def unchanged(_info: Any) -> None:
    """Leaves the shape of the placeholder, [?, 1]."""


@pytest.fixture(scope="module")
def half_plus_three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SavedModel]:
    """TF Serving's own test model, half_plus_three, written with an empty TensorInfo.tensor_shape
    and with two outputs: y = x / 2 + 3 and z = x / 3 + 3.
    """
    folder = tmp_path_factory.mktemp("half_plus_three") / "1"
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 1], name="x")
        a, b = tf1.get_variable("a", initializer=0.5), tf1.get_variable("b", initializer=3.0)
        outputs = {"y": tf.add(tf.multiply(a, x), b, name="y"), "z": tf.add(tf.multiply(1 / 3, x), b, name="z")}
        session.run(tf1.global_variables_initializer())
        signature = tf1.saved_model.predict_signature_def({"x": x}, outputs)
        without_shape(signature.inputs["x"])
        builder = tf1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    model = SavedModelLoader(intra_op_threads=1, inter_op_threads=1)(Path(folder))
    yield model
    model.close()


def answer(model: SavedModel, x: Any, *output_filter: str, signature: str = "") -> dict[str, Any]:
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.signature_name = signature
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.asarray(x, np.float32)))
    response = predict.run(model, request, 10, Metrics())
    return {alias: tf.make_ndarray(tensor).tolist() for alias, tensor in response.outputs.items()}


DECLARATIONS = [unchanged, without_shape, of_unknown_rank, as_vector_of_7, with_unknown_dimensions]


@pytest.mark.parametrize("declare", DECLARATIONS)
@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([[1]], [[3.5]]),
        ([[2]], [[4]]),
        (2, 4),
        ([2, 4], [4, 5]),
        (np.full((2, 1, 2), 2), np.full((2, 1, 2), 4).tolist()),
        (np.zeros((0, 1)), []),
    ],
    ids=["x=1", "x=2", "scalar", "vector", "rank 3", "empty batch"],
)
def test_any_shape_that_the_kernels_compute_is_answered(
    half_plus_three: SavedModel, declare: Declare, x: Any, y: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = type(half_plus_three.signatures["serving_default"])()
    signature.CopyFrom(half_plus_three.signatures["serving_default"])
    declare(signature.inputs["x"])
    monkeypatch.setattr(half_plus_three, "signatures", {"serving_default": signature})
    assert answer(half_plus_three, x, "y") == {"y": y}


def test_outputs_are_all_or_those_of_the_filter(half_plus_three: SavedModel) -> None:
    assert answer(half_plus_three, [[3]]) == {"y": [[4.5]], "z": [[4.0]]}
    assert answer(half_plus_three, [[3]], "z") == {"z": [[4.0]]}
    assert answer(half_plus_three, [[3]], "z", "y", signature="serving_default") == {"y": [[4.5]], "z": [[4.0]]}


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.float16, np.int64, bool, object], ids=lambda t: t.__name__)
def test_no_dtype_is_converted(half_plus_three: SavedModel, dtype: type) -> None:
    request = predict_pb2.PredictRequest()
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([[b"1" if dtype is object else 1]], dtype)))
    name = types_pb2.DataType.Name(request.inputs["x"].dtype).removeprefix("DT_").lower()
    with pytest.raises(GraphError, match=rf"^Expects arg\[0\] to be float but {name} is provided$") as error:
        predict.run(half_plus_three, request, 10, Metrics())
    assert error.value.status.name == "INVALID_ARGUMENT"
