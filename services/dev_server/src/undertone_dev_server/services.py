"""TF Serving's PredictionService and ModelService over a Registry."""
# ruff: noqa: N802 - the methods' names are TF Serving's

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Never

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from undertone_dev_server import predict
from undertone_dev_server.errors import CallError, DeadlinePassedError, InvalidCallError
from undertone_dev_server.metrics import Metrics
from undertone_dev_server.registry import Registry

log = logging.getLogger(__name__)

SIGNATURE_DEF = "signature_def"
# A TensorFlow message may quote a graph at length; TF Serving cuts at the same place.
MESSAGE_LIMIT = 1024
# gRPC gives a call without a deadline one that is infinitely far away.
LONGEST_TIMEOUT_SECONDS = 10 * 365 * 24 * 3600.0


class PredictionService:
    """tensorflow.serving.PredictionService: Predict and GetModelMetadata."""

    def __init__(self, registry: Registry, metrics: Metrics | None = None) -> None:
        self._registry = registry
        self._metrics = metrics or Metrics()

    def Predict(self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> predict_pb2.PredictResponse:
        model = request.model_spec.name
        with _answering(context), self._metrics.predicting(model):
            _require_spec(request)
            timeout = _timeout(context)
            with self._registry.lease(request.model_spec) as lease, self._metrics.running(model):
                response = predict.run(lease.servable, request, timeout)
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = lease.version
            return response

    def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        with _answering(context):
            _require_spec(request)
            if not request.metadata_field:
                raise InvalidCallError("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != SIGNATURE_DEF:
                    raise InvalidCallError(f"Metadata field {field} is not supported")
            signatures = get_model_metadata_pb2.SignatureDefMap()
            with self._registry.lease(request.model_spec) as lease:
                for name, signature in lease.servable.signatures.items():
                    signatures.signature_def[name].CopyFrom(signature)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = lease.version
            response.metadata[SIGNATURE_DEF].Pack(signatures)
            return response

    def Classify(self, _request: Any, context: grpc.ServicerContext) -> Never:
        _unimplemented(context, "Classify")

    def Regress(self, _request: Any, context: grpc.ServicerContext) -> Never:
        _unimplemented(context, "Regress")

    def MultiInference(self, _request: Any, context: grpc.ServicerContext) -> Never:
        _unimplemented(context, "MultiInference")


class ModelService:
    """tensorflow.serving.ModelService: GetModelStatus."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        with _answering(context):
            _require_spec(request)
            response = get_model_status_pb2.GetModelStatusResponse()
            for status in self._registry.statuses(request.model_spec):
                entry = response.model_version_status.add(version=status.version, state=int(status.state))
                entry.status.error_code = 0
                if status.error is not None:
                    entry.status.error_code = status.error.status.value[0]
                    entry.status.error_message = str(status.error)
            return response

    def HandleReloadConfigRequest(self, _request: Any, context: grpc.ServicerContext) -> Never:
        _unimplemented(context, "HandleReloadConfigRequest")


@contextmanager
def _answering(context: grpc.ServicerContext) -> Iterator[None]:
    """Turns errors into statuses. What nobody foresaw is logged, and the caller learns only that it happened."""
    try:
        yield
    except CallError as error:
        message = str(error)
        if len(message) > MESSAGE_LIMIT:
            message = message[:MESSAGE_LIMIT] + "...TRUNCATED"
        context.abort(error.status, message)
    except Exception:
        log.exception("a call failed unexpectedly")
        context.abort(grpc.StatusCode.INTERNAL, "internal error; the model server's log has the details")


def _require_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise InvalidCallError("Missing ModelSpec")


def _timeout(context: grpc.ServicerContext) -> float | None:
    """Seconds until the caller's deadline, None without one. Raises DeadlinePassedError when nobody waits for the answer."""
    remaining = context.time_remaining()
    if remaining <= 0 or not context.is_active():
        raise DeadlinePassedError("the deadline passed, or the caller left, before the model ran")
    return None if remaining > LONGEST_TIMEOUT_SECONDS else remaining


def _unimplemented(context: grpc.ServicerContext, method: str) -> Never:
    context.abort(
        grpc.StatusCode.UNIMPLEMENTED,
        f"undertone-dev-server does not implement {method}; it answers Predict, GetModelMetadata and GetModelStatus",
    )
