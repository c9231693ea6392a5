"""The backend that speaks TF Serving's gRPC API, over TCP or a Unix socket."""

from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar

import grpc
import grpc.aio
import numpy as np
from undertone_protos import ModelServiceStub, PredictionServiceStub
from undertone_protos.tfserving.v1 import predict_pb2

from undertone_sidecar.backend import Batch, Scores
from undertone_sidecar.contract import ATTENTION_MASK, INPUT_IDS, PROBABILITIES, SIGNATURE, Signature, TensorSpec
from undertone_sidecar.errors import (
    DeadlineError,
    ModelServerError,
    ModelServerLostError,
    OverloadedError,
    SidecarError,
    VersionGoneError,
)
from undertone_sidecar.tensors import dtype_name, pack_int32, unpack_float32

_Reply = TypeVar("_Reply")

_QUESTION_SECONDS: Final = 5.0
"""Time for a question about versions or signatures; a model server that computes on all cores answers these late, not never."""

_OPTIONS: Final = (
    # A model server that comes back is found at once: gRPC's own backoff goes up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # The model server is in the same pod: never through a proxy that the environment may name.
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)


class TFServing:
    """Backend and Catalog over one channel. Connects by itself, again and again, and never waits for the connection."""

    def __init__(self, target: str, model_name: str, *, interceptors: Sequence[grpc.aio.ClientInterceptor] = ()) -> None:
        """`target` is a gRPC target: "localhost:8500", "unix:///run/model.sock"; `interceptors` see the calls to it."""
        self._name = model_name
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS, interceptors=interceptors)
        self._prediction = PredictionServiceStub(self._channel)
        self._model = ModelServiceStub(self._channel)

    async def predict(self, batch: Batch, *, timeout: float) -> Scores:  # noqa: ASYNC109
        request = predict_pb2.PredictRequest(model_spec=self._spec(batch.version), output_filter=[PROBABILITIES])
        request.model_spec.signature_name = SIGNATURE
        pack_int32(batch.input_ids, request.inputs[INPUT_IDS])
        pack_int32(batch.attention_mask, request.inputs[ATTENTION_MASK])
        response = await self._ask(self._prediction.Predict(request, timeout=timeout))
        return _scores(response, rows=len(batch.input_ids))

    async def versions(self) -> tuple[int, ...]:
        request = predict_pb2.GetModelStatusRequest(model_spec=self._spec(None))
        response = await self._ask(self._model.GetModelStatus(request, timeout=_QUESTION_SECONDS))
        available = predict_pb2.ModelVersionStatus.STATE_AVAILABLE
        found = (status.version for status in response.model_version_status if status.state == available)
        return tuple(sorted(found, reverse=True))

    async def signature(self, version: int) -> Signature:
        request = predict_pb2.GetModelMetadataRequest(model_spec=self._spec(version), metadata_field=["signature_def"])
        response = await self._ask(self._prediction.GetModelMetadata(request, timeout=_QUESTION_SECONDS))
        # Not Unpack(): the type's full name is TF Serving's, ours differs.
        signatures = predict_pb2.SignatureDefMap.FromString(response.metadata["signature_def"].value).signature_def
        if SIGNATURE not in signatures:
            raise ModelServerError(f"version {version} has no signature {SIGNATURE} (it has {sorted(signatures)})")
        definition = signatures[SIGNATURE]
        return Signature(
            inputs={name: _spec_of(info) for name, info in definition.inputs.items()},
            outputs={name: _spec_of(info) for name, info in definition.outputs.items()},
        )

    async def close(self) -> None:
        """Ends the connection; calls that are running fail."""
        await self._channel.close()

    def _spec(self, version: int | None) -> predict_pb2.ModelSpec:
        spec = predict_pb2.ModelSpec(name=self._name)
        if version is not None:
            spec.version.value = version
        return spec

    async def _ask(self, call: Awaitable[_Reply]) -> _Reply:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise self._translated(error) from None

    def _translated(self, error: grpc.aio.AioRpcError) -> SidecarError:
        code, details = error.code(), error.details() or ""
        match code:
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
                return ModelServerLostError("the model server cannot be reached")
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return DeadlineError("the model server did not answer in time")
            case grpc.StatusCode.RESOURCE_EXHAUSTED:
                return OverloadedError("the model server is overloaded; come back later")
            case grpc.StatusCode.NOT_FOUND:
                return VersionGoneError(f"the model server does not serve the model {self._name}: {details[:200]}")
            case _:
                return ModelServerError(f"the model server answered {code.name}: {details[:200]}")


def _scores(response: predict_pb2.PredictResponse, *, rows: int) -> Scores:
    if PROBABILITIES not in response.outputs:
        raise ModelServerError(f"the model server's answer has no output {PROBABILITIES}")
    try:
        scores = unpack_float32(response.outputs[PROBABILITIES])
    except ValueError as error:
        raise ModelServerError(f"the model server's {PROBABILITIES} {error}") from None
    if scores.ndim != 2 or len(scores) != rows:
        raise ModelServerError(f"the model server's {PROBABILITIES} has shape {list(scores.shape)}, expected {rows} rows")
    if not np.isfinite(scores).all():
        raise ModelServerError(f"the model server's {PROBABILITIES} has values that are not finite")
    return scores


def _spec_of(info: predict_pb2.TensorInfo) -> TensorSpec:
    shape = None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
    return TensorSpec(dtype_name(info.dtype), shape)
