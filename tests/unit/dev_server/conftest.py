"""A tiny SavedModel for the whole package, and a server with it on real sockets."""

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

with warnings.catch_warnings():
    # TensorFlow's modules raise warnings about their own imports.
    warnings.simplefilter("ignore")
    import tensorflow as tf

from tensorflow_serving.apis import predict_pb2
from undertone_dev_server.saved_model import SavedModelLoader
from undertone_dev_server.server import DevelopmentServer
from undertone_dev_server.settings import Settings


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with variables. `serving_default` has the signature of the emotion model, with 3
    labels and a vocabulary of 10. `spin` counts up to its input, so that a test sets its duration.
    """

    class Tiny(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.table = tf.Variable(np.linspace(0, 1, 30, dtype=np.float32).reshape(10, 3))

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int32)]
        )
        def classify(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> dict[str, tf.Tensor]:
            rows = tf.gather(self.table, input_ids) * tf.cast(attention_mask, tf.float32)[:, :, None]
            return {"probabilities": tf.nn.softmax(tf.reduce_sum(rows, axis=1))}

        @tf.function(input_signature=[tf.TensorSpec([], tf.int32)])  # type: ignore[untyped-decorator]
        def spin(self, count: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"count": tf.while_loop(lambda i: i < count, lambda i: [i + 1], [0])[0]}

    tiny = Tiny()
    folder = tmp_path_factory.mktemp("saved") / "model"
    tf.saved_model.save(tiny, str(folder), signatures={"serving_default": tiny.classify, "spin": tiny.spin})
    return folder


@pytest.fixture(scope="session")
def install(tiny_model: Path) -> Callable[[Path, int], None]:
    """Adds the tiny model to a base path as a version: copies it and renames the copy, as an
    exporter does.
    """

    def add(base_path: Path, version: int) -> None:
        partial = base_path / f".{version}.partial"
        shutil.copytree(tiny_model, partial)
        partial.rename(base_path / str(version))

    return add


@pytest.fixture(scope="package")
def sockets(tmp_path_factory: pytest.TempPathFactory, install: Callable[[Path, int], None]) -> Iterator[tuple[str, str]]:
    """The TCP and the Unix address of a server with the tiny model as version 3 of `emotions`."""
    base_path = tmp_path_factory.mktemp("emotions")
    install(base_path, 3)
    # The path of a Unix socket is limited to 107 bytes.
    socket = tmp_path_factory.mktemp("s") / "s"
    settings = Settings(
        "emotions",
        base_path,
        grpc_max_threads=8,
        port=0,
        grpc_socket_path=socket,
        file_system_poll_wait_seconds=0.05,
        load_retry_interval_micros=-1,
    )
    server = DevelopmentServer(settings, SavedModelLoader(intra_op_threads=1, inter_op_threads=1))
    port = server.start()
    yield f"127.0.0.1:{port}", f"unix:{socket}"
    server.stop()


@pytest.fixture
def channel(sockets: tuple[str, str]) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(sockets[0]) as channel:
        yield channel


@pytest.fixture
def make_request() -> Callable[..., predict_pb2.PredictRequest]:
    """Makes a valid request to `emotions` with two rows of three tokens. Arguments are fields of
    its ModelSpec.
    """

    def make(**spec: object) -> predict_pb2.PredictRequest:
        request = predict_pb2.PredictRequest(model_spec={"name": "emotions", **spec})
        request.inputs["input_ids"].CopyFrom(tf.make_tensor_proto(np.array([[1, 2, 3], [4, 5, 0]], np.int32)))
        request.inputs["attention_mask"].CopyFrom(tf.make_tensor_proto(np.array([[1, 1, 1], [1, 1, 0]], np.int32)))
        return request

    return make
