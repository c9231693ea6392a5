"""Requests that an export brings along, answered before the version is available."""

import shutil
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2
from undertone_dev_server.errors import LoadError
from undertone_dev_server.saved_model import SavedModelLoader
from undertone_dev_server.warmup import FILE, warm_up

load = SavedModelLoader(intra_op_threads=1, inter_op_threads=1)

Write = Callable[..., Path]


def predict_log(**inputs: object) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    for name, value in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return bytes(log.SerializeToString())


@pytest.fixture
def write(tiny_model: Path, tmp_path: Path) -> Write:
    """A copy of the tiny model that brings these records along."""

    def copy(*records: bytes) -> Path:
        folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
        (folder / FILE).parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(folder / FILE)) as file:
            for record in records:
                file.write(record)
        return folder

    return copy


def test_every_request_is_answered(write: Write) -> None:
    ids = np.ones((1, 5), np.int32)
    folder = write(predict_log(input_ids=ids, attention_mask=ids), predict_log(input_ids=ids, attention_mask=ids))
    model = load(folder)
    assert warm_up(folder, model) == 2
    model.close()


def test_a_model_without_the_file_needs_none(tiny_model: Path) -> None:
    model = load(tiny_model)
    assert warm_up(tiny_model, model) == 0
    model.close()


def test_a_request_that_the_model_cannot_answer_is_a_load_error(write: Write) -> None:
    with pytest.raises(LoadError, match=r"tf_serving_warmup_requests: record 0: .*nonsense") as refused:
        load(write(predict_log(nonsense=np.ones(1, np.int32))))
    assert refused.value.status is grpc.StatusCode.INVALID_ARGUMENT


def test_a_request_of_another_kind_is_a_load_error(write: Write) -> None:
    log = prediction_log_pb2.PredictionLog()
    log.classify_log.request.model_spec.name = "tiny"
    with pytest.raises(LoadError, match="classify_log"):
        load(write(log.SerializeToString()))


@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda data: b"garbage" + data])
def test_a_damaged_file_is_a_load_error(write: Write, damage: Callable[[bytes], bytes]) -> None:
    ids = np.ones((1, 5), np.int32)
    folder = write(predict_log(input_ids=ids, attention_mask=ids))
    (folder / FILE).write_bytes(damage((folder / FILE).read_bytes()))
    with pytest.raises(LoadError, match="damaged") as refused:
        load(folder)
    assert refused.value.status is grpc.StatusCode.DATA_LOSS
