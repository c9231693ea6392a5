"""SavedModels in a TensorFlow Session, which is how TF Serving runs them.

TensorFlow optimizes a Session and an eager call of the same signature differently. Only the speed
of a Session is comparable to TF Serving's.

As in TF Serving, a version is available only after the warm-up requests of its export are answered
("SavedModel Warmup" in TensorFlow Serving's guide): the first call of a signature optimizes the
graph, which takes seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.saved_model import loader_impl
from tensorflow_serving.apis import prediction_log_pb2

from undertone_dev_server import predict
from undertone_dev_server.errors import STATUS_BY_NUMBER, CallError, GraphError, InvalidCallError, LoadError
from undertone_dev_server.folders import GRAPH_FILE
from undertone_dev_server.metrics import Metrics
from undertone_dev_server.servable import Array, Servable, SignatureDef

SERVE_TAG: Final = "serve"
WARMUP_FILE: Final = Path("assets.extra", "tf_serving_warmup_requests")
PYTHON_PREFIX: Final = "Graph execution error:\n\n"
"""Session.run puts it before every message of a kernel. TF Serving does not."""


@dataclass(frozen=True, slots=True)
class SavedModelLoader:
    """Loads SavedModels into Sessions.

    The first two fields are the numbers of threads within an operation and between operations; 0
    lets TensorFlow choose. TensorFlow fixes both for the process when the first Session opens.
    """

    intra_op_threads: int = 0
    inter_op_threads: int = 0
    metrics: Metrics = field(default_factory=Metrics)

    def __call__(self, folder: Path) -> "SavedModel":
        """Loads and warms up the graph with the tag `serve`. Raises LoadError with TensorFlow's
        reason.
        """
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=self.intra_op_threads, inter_op_parallelism_threads=self.inter_op_threads
        )
        session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            with session.graph.as_default():
                signatures = _restore(session, folder)
            model = SavedModel(session, signatures)
            with self.metrics.measure_warmup(str(folder)):
                warm_up(folder, model, self.metrics)
        except LoadError:
            session.close()
            raise
        except Exception as error:
            # Any failure becomes a LoadError, so that the server continues with the version that it
            # has.
            session.close()
            raise _load_error(folder, error) from error
        return model


class SavedModel:
    """A Servable in an open Session."""

    def __init__(self, session: "tf.compat.v1.Session", signatures: Mapping[str, SignatureDef]) -> None:
        self._session = session
        self.signatures = signatures
        session._extend_graph()

    def run(self, fetches: Sequence[str], feeds: Mapping[str, Array], timeout: float | None) -> Sequence[Array]:
        # `Session.run` of Python converts dtypes and refuses other shapes than the placeholders'.
        # TF Serving calls the Session of C++, which does neither. This is that Session.
        arguments = {self._output(name): array for name, array in feeds.items()}
        results = [self._output(name) for name in fetches]
        options = None
        if timeout is not None:
            message = tf.compat.v1.RunOptions(timeout_in_ms=max(int(timeout * 1000), 1))
            options = pywrap_tf_session.TF_NewBufferFromString(message.SerializeToString())
        try:
            outputs: Sequence[Array] = self._session._call_tf_sessionrun(options, arguments, results, [], None)
        except tf.errors.OpError as error:
            raise GraphError(error.message, STATUS_BY_NUMBER[error.error_code]) from error
        finally:
            if options is not None:
                pywrap_tf_session.TF_DeleteBuffer(options)
        return outputs

    def _output(self, name: str) -> Any:
        return self._session.graph.get_tensor_by_name(name)._as_tf_output()

    def close(self) -> None:
        self._session.close()


def _restore(session: "tf.compat.v1.Session", folder: Path) -> dict[str, SignatureDef]:
    """Loads the graph with its variables, and returns its signatures.

    As in TF Serving's `LoadSavedModel`, a folder without the index of the variables counts as a
    graph without variables. If the folder is still being copied, the version becomes available, and
    its calls fail.
    """
    loader = loader_impl.SavedModelLoader(str(folder))
    saver, _ = loader.load_graph(session.graph, [SERVE_TAG])
    if Path(f"{loader.variables_path}.index").is_file():
        loader.restore_variables(session, saver)
    loader.run_init_ops(session, [SERVE_TAG])
    return dict(loader.get_meta_graph_def_from_tags([SERVE_TAG]).signature_def)


def warm_up(folder: Path, servable: Servable, metrics: Metrics) -> int:
    """Answers the Predict requests in `folder/WARMUP_FILE`, a TFRecord file of PredictionLog
    messages.

    Returns their number, 0 if the file does not exist. Raises LoadError for a damaged file, for a
    request other than Predict, and for a request that the model cannot answer.
    """
    path = folder / WARMUP_FILE
    if not path.is_file():
        return 0
    count = 0
    try:
        for record in tf.compat.v1.io.tf_record_iterator(str(path)):
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if log.WhichOneof("log_type") != "predict_log":
                raise InvalidCallError(f"it is a {log.WhichOneof('log_type')}; only predict_log is supported")
            predict.run(servable, log.predict_log.request, None, metrics)
            count += 1
    except (tf.errors.DataLossError, DecodeError) as error:
        raise LoadError(f"{path}: record {count} is damaged: {error}", grpc.StatusCode.DATA_LOSS) from None
    except CallError as error:
        raise LoadError(f"{path}: record {count}: {error}", error.status) from None
    return count


def _load_error(folder: Path, error: Exception) -> LoadError:
    match error:
        case tf.errors.OpError():
            return LoadError(error.message.removeprefix(PYTHON_PREFIX), STATUS_BY_NUMBER[error.error_code])
        case OSError() if not (folder / GRAPH_FILE).exists():
            return LoadError(f"there is no {GRAPH_FILE} in {folder}: {error}", grpc.StatusCode.NOT_FOUND)
        case RuntimeError():
            return LoadError(str(error), grpc.StatusCode.NOT_FOUND)  # no graph has the tag `serve`
        case _:
            return LoadError(f"{folder}: {error}")
