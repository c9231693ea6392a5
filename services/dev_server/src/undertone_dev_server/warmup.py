"""Warm-up as TF Serving does it: requests that an export brings along are answered before its version is available.

The first call of a signature optimizes the graph, which takes seconds; whoever loads the model should pay for that, not the
first caller. The file is a TFRecord of PredictionLog messages (TensorFlow Serving's guide, "SavedModel Warmup").
"""

from pathlib import Path
from typing import Final

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from undertone_dev_server import predict
from undertone_dev_server.errors import GraphError, InvalidCallError, LoadError, UnknownSignatureError
from undertone_dev_server.servable import Servable

FILE: Final = Path("assets.extra", "tf_serving_warmup_requests")


def warm_up(folder: Path, servable: Servable) -> int:
    """Answers the Predict requests in `folder/FILE`, and returns how many; 0 if there is no such file.

    Raises LoadError for a damaged file, a request of another kind, and one that the model cannot answer.
    """
    path = folder / FILE
    if not path.is_file():
        return 0
    answered = 0
    try:
        for record in tf.compat.v1.io.tf_record_iterator(str(path)):
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if log.WhichOneof("log_type") != "predict_log":
                raise InvalidCallError(f"it is a {log.WhichOneof('log_type')}, and only predict_log can be replayed")
            predict.run(servable, log.predict_log.request, None)
            answered += 1
    except (tf.errors.DataLossError, DecodeError) as error:
        raise LoadError(f"{path}: record {answered} is damaged: {error}", grpc.StatusCode.DATA_LOSS) from None
    except (InvalidCallError, UnknownSignatureError, GraphError) as error:
        raise LoadError(f"{path}: record {answered}: {error}", grpc.StatusCode.INVALID_ARGUMENT) from None
    return answered
