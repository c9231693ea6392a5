"""SavedModels run through a TensorFlow Session, as TF Serving runs them.

A Session and an eager call of the same signature are optimized on different paths; only the Session's speed holds for TF
Serving.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import tensorflow as tf

from undertone_dev_server.errors import STATUS_BY_NUMBER, GraphError, LoadError
from undertone_dev_server.servable import Array, SignatureDef
from undertone_dev_server.warmup import warm_up

SERVE_TAG = "serve"
# What Session.run writes before every message of a kernel, and TF Serving does not.
PYTHON_PREFIX = "Graph execution error:\n\n"


@dataclass(frozen=True, slots=True)
class SavedModelLoader:
    """Loads SavedModels into Sessions with this many threads inside an operation and between operations; 0 lets TensorFlow
    choose. TensorFlow fixes both for the process when the first Session opens."""

    intra_op_threads: int = 0
    inter_op_threads: int = 0

    def __call__(self, folder: Path) -> "SavedModel":
        """Loads the graph tagged `serve` and its variables, and warms it up. Raises LoadError with TensorFlow's reason."""
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=self.intra_op_threads, inter_op_parallelism_threads=self.inter_op_threads
        )
        session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            with session.graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(session, [SERVE_TAG], str(folder))
        except tf.errors.OpError as error:
            session.close()
            raise LoadError(error.message.removeprefix(PYTHON_PREFIX), STATUS_BY_NUMBER[error.error_code]) from error
        except RuntimeError as error:
            session.close()
            raise LoadError(str(error), grpc.StatusCode.NOT_FOUND) from error  # no graph tagged `serve`
        except Exception as error:
            # Whatever the files hold, the server goes on with the version it has.
            session.close()
            raise LoadError(f"{folder}: {error}") from error
        model = SavedModel(session, dict(meta_graph.signature_def))
        try:
            warm_up(folder, model)
        except LoadError:
            model.close()
            raise
        return model


class SavedModel:
    """A Servable over an open Session."""

    def __init__(self, session: "tf.compat.v1.Session", signatures: Mapping[str, SignatureDef]) -> None:
        self._session = session
        self.signatures = signatures

    def run(self, fetches: Sequence[str], feeds: Mapping[str, Array], timeout: float | None) -> Sequence[Array]:
        options = None
        if timeout is not None:
            options = tf.compat.v1.RunOptions(timeout_in_ms=max(int(timeout * 1000), 1))
        try:
            outputs: Sequence[Array] = self._session.run(list(fetches), dict(feeds), options=options)
        except tf.errors.OpError as error:
            message = error.message.removeprefix(PYTHON_PREFIX)
            raise GraphError(message, STATUS_BY_NUMBER[error.error_code]) from error
        return outputs

    def close(self) -> None:
        self._session.close()
