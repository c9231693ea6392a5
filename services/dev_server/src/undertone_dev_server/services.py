"""TF Serving's PredictionService and ModelService for one model."""
# ruff: noqa: N802 - the methods' names are TF Serving's

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Never

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from undertone_dev_server import predict
from undertone_dev_server.errors import CallError, InvalidCallError, ServableNotFoundError
from undertone_dev_server.metrics import Metrics
from undertone_dev_server.model import Model
from undertone_dev_server.states import Lease

log = logging.getLogger(__name__)

SIGNATURE_DEF = "signature_def"
# TensorFlow messages may quote a long graph. TF Serving truncates them at the same length.
MAX_MESSAGE_LENGTH = 1024
# gRPC reports a call without a deadline as a deadline in the far future.
MAX_TIMEOUT_SECONDS = 10 * 365 * 24 * 3600.0


class PredictionService:
    """tensorflow.serving.PredictionService: Predict and GetModelMetadata."""

    def __init__(self, model: Model, metrics: Metrics) -> None:
        self._model = model
        self._metrics = metrics

    def Predict(self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> predict_pb2.PredictResponse:
        name = request.model_spec.name
        with _abort_on_error(context), self._metrics.measure_request(name):
            _require_spec(request)
            timeout = _timeout(context)
            with self._lease(request.model_spec) as lease:
                response = predict.run(lease.servable, request, timeout, self._metrics)
            response.model_spec.name = name
            response.model_spec.version.value = lease.version
            return response

    def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        with _abort_on_error(context):
            _require_spec(request)
            if not request.metadata_field:
                raise InvalidCallError("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != SIGNATURE_DEF:
                    raise InvalidCallError(f"Metadata field {field} is not supported")
            signatures = get_model_metadata_pb2.SignatureDefMap()
            with self._lease(request.model_spec) as lease:
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

    @contextmanager
    def _lease(self, spec: model_pb2.ModelSpec) -> Iterator[Lease]:
        """Keeps the requested version loaded during a call: the version with that number, or the
        newest.

        Raises InvalidCallError for an invalid spec and ServableNotFoundError for an unknown model
        or version.
        """
        if not spec.name:
            raise InvalidCallError("ModelSpec has no name specified.")
        version = _requested_version(spec)
        if spec.name != self._model.name:
            raise ServableNotFoundError.for_version(spec.name, version)
        with self._model.lease(version) as lease:
            yield lease


class ModelService:
    """tensorflow.serving.ModelService: GetModelStatus."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        with _abort_on_error(context):
            _require_spec(request)
            # TF Serving ignores a version label here.
            spec = request.model_spec
            name, version = spec.name, int(spec.version.value) if spec.HasField("version") else None
            statuses = self._model.statuses() if name == self._model.name else []
            statuses = [status for status in statuses if version in (None, status.version)]
            if not statuses:
                versions = "any versions" if version is None else f"version {version}"
                raise ServableNotFoundError(f"Could not find {versions} of model {name}")
            response = get_model_status_pb2.GetModelStatusResponse()
            for status in statuses:
                item = response.model_version_status.add(version=status.version, state=int(status.state))
                item.status.error_code = 0
                if status.error is not None:
                    item.status.error_code = status.error.status.value[0]
                    item.status.error_message = str(status.error)
            return response

    def HandleReloadConfigRequest(self, _request: Any, context: grpc.ServicerContext) -> Never:
        _unimplemented(context, "HandleReloadConfigRequest")


@contextmanager
def _abort_on_error(context: grpc.ServicerContext) -> Iterator[None]:
    """Ends the call with the status of an error. An unexpected error is logged, and its text is not
    sent.
    """
    try:
        yield
    except CallError as error:
        message = str(error)
        if len(message) > MAX_MESSAGE_LENGTH:
            message = message[:MAX_MESSAGE_LENGTH] + "...TRUNCATED"
        context.abort(error.status, message)
    except Exception:
        log.exception("a call failed unexpectedly")
        context.abort(grpc.StatusCode.INTERNAL, "internal error; see the log of the model server")


def _require_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise InvalidCallError("Missing ModelSpec")


def _requested_version(spec: model_pb2.ModelSpec) -> int | None:
    """The version number in a request; None means the newest version.

    Refuses version labels, because the server has none.
    """
    match spec.WhichOneof("version_choice"):
        case "version":
            return int(spec.version.value)
        case "version_label":
            raise InvalidCallError(f"Unrecognized servable version label: {spec.version_label}")
        case _:
            return None


def _timeout(context: grpc.ServicerContext) -> float | None:
    """Seconds until the call's deadline, at least 0, or None without a deadline."""
    remaining = max(context.time_remaining(), 0.0)
    return None if remaining > MAX_TIMEOUT_SECONDS else remaining


def _unimplemented(context: grpc.ServicerContext, method: str) -> Never:
    context.abort(
        grpc.StatusCode.UNIMPLEMENTED,
        f"undertone-dev-server does not implement {method}; it answers Predict, GetModelMetadata and GetModelStatus",
    )
