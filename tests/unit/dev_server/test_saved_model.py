"""Loading, running and warming up a SavedModel."""

import shutil
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from prometheus_client import generate_latest
from tensorflow_serving.apis import prediction_log_pb2
from undertone_dev_server import predict
from undertone_dev_server.errors import GraphError, LoadError
from undertone_dev_server.metrics import Metrics
from undertone_dev_server.saved_model import WARMUP_FILE, SavedModelLoader, warm_up

Write = Callable[..., Path]

load = SavedModelLoader(intra_op_threads=1, inter_op_threads=1)


def test_run_ends_at_its_timeout(tiny_model: Path) -> None:
    model = load(tiny_model)
    signature = model.signatures["spin"]
    endless = {signature.inputs["count"].name: np.array(2**31 - 1, np.int32)}
    with pytest.raises(GraphError) as error:
        model.run([signature.outputs["count"].name], endless, timeout=0.1)
    assert error.value.status is grpc.StatusCode.DEADLINE_EXCEEDED
    model.close()


def test_damaged_graph_is_a_load_error_that_names_the_file(tiny_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_model, damaged)
    (damaged / "saved_model.pb").write_bytes(b"garbage")
    with pytest.raises(LoadError, match=r"damaged.*saved_model\.pb") as error:
        load(damaged)
    assert error.value.status is grpc.StatusCode.DATA_LOSS


def test_truncated_variables_are_a_load_error(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    for data in (folder / "variables").glob("variables.data*"):
        data.write_bytes(data.read_bytes()[:10])
    with pytest.raises(LoadError):
        load(folder)


def test_folder_without_variables_loads_and_its_calls_fail(tiny_model: Path, tmp_path: Path) -> None:
    """As in TF Serving: a folder without the index counts as a graph without variables."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    shutil.rmtree(folder / "variables")
    model = load(folder)
    request = prediction_log_pb2.PredictionLog.FromString(
        predict_log(input_ids=[[1]], attention_mask=[[1]])
    ).predict_log.request
    with pytest.raises(GraphError, match="Variable") as error:
        predict.run(model, request, None, Metrics())
    assert error.value.status is grpc.StatusCode.NOT_FOUND, "as for an unknown version, with another message"
    model.close()


def test_folder_without_a_graph_is_a_load_error(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="saved_model") as error:
        load(tmp_path)
    assert error.value.status is grpc.StatusCode.NOT_FOUND


def predict_log(**inputs: object) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    for name, value in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return bytes(log.SerializeToString())


@pytest.fixture
def write(tiny_model: Path, tmp_path: Path) -> Write:
    """Copies the tiny model with these warm-up records."""

    def copy(*records: bytes) -> Path:
        folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
        (folder / WARMUP_FILE).parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(folder / WARMUP_FILE)) as file:
            for record in records:
                file.write(record)
        return folder

    return copy


def test_every_warmup_request_is_answered(write: Write) -> None:
    ids = np.ones((1, 5), np.int32)
    folder = write(predict_log(input_ids=ids, attention_mask=ids), predict_log(input_ids=ids, attention_mask=ids))
    metrics = Metrics()
    model = SavedModelLoader(1, 1, metrics)(folder)
    assert warm_up(folder, model, Metrics()) == 2
    model.close()
    page = generate_latest(metrics.registry).decode()
    # The requests have no name of a model.
    assert ':tensorflow:serving:runtime_latency_count{API="Predict",model_name="",runtime="TF1"} 2.0' in page
    assert f':tensorflow:serving:model_warmup_latency_count{{model_path="{folder}",status="OK"}} 1.0' in page


def test_model_without_warmup_file_loads(tiny_model: Path) -> None:
    model = load(tiny_model)
    assert warm_up(tiny_model, model, Metrics()) == 0
    model.close()


def test_warmup_request_that_the_model_cannot_answer_is_a_load_error(write: Write) -> None:
    with pytest.raises(LoadError, match=r"tf_serving_warmup_requests: record 0: .*nonsense") as error:
        load(write(predict_log(nonsense=np.ones(1, np.int32))))
    assert error.value.status is grpc.StatusCode.INVALID_ARGUMENT


def test_warmup_request_other_than_predict_is_a_load_error(write: Write) -> None:
    log = prediction_log_pb2.PredictionLog()
    log.classify_log.request.model_spec.name = "tiny"
    with pytest.raises(LoadError, match="classify_log"):
        load(write(log.SerializeToString()))


@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda data: b"garbage" + data])
def test_damaged_warmup_file_is_a_load_error(write: Write, damage: Callable[[bytes], bytes]) -> None:
    ids = np.ones((1, 5), np.int32)
    folder = write(predict_log(input_ids=ids, attention_mask=ids))
    (folder / WARMUP_FILE).write_bytes(damage((folder / WARMUP_FILE).read_bytes()))
    with pytest.raises(LoadError, match="damaged") as error:
        load(folder)
    assert error.value.status is grpc.StatusCode.DATA_LOSS
