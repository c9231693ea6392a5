"""The backend for TF Serving's gRPC API, over TCP or a Unix socket."""

import math
from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar

import grpc
import grpc.aio
import numpy as np
import numpy.typing as npt
from undertone_protos import ModelServiceStub, PredictionServiceStub
from undertone_protos.tfserving.v1 import predict_pb2, tensor_pb2

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

_Reply = TypeVar("_Reply")

_METADATA_TIMEOUT_SECONDS: Final = 5.0
"""Timeout of calls about versions and signatures. A busy model server responds late."""

_VERSION_GONE: Final = ("Servable not found for request:", "Could not find ")
"""Beginnings of TF Serving's messages for a model or version that it does not serve."""

_CHANNEL_OPTIONS: Final = (
    # Reconnects quickly to a restarted model server. The default backoff of gRPC grows to two
    # minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # The model server is in the same pod, so a proxy from the environment does not apply.
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)

_DTYPE_NAMES: Final[dict[int, str]] = {
    tensor_pb2.DATA_TYPE_FLOAT: "float32",
    tensor_pb2.DATA_TYPE_DOUBLE: "float64",
    tensor_pb2.DATA_TYPE_INT32: "int32",
    tensor_pb2.DATA_TYPE_INT64: "int64",
    tensor_pb2.DATA_TYPE_STRING: "string",
    tensor_pb2.DATA_TYPE_BOOL: "bool",
    tensor_pb2.DATA_TYPE_BFLOAT16: "bfloat16",
    tensor_pb2.DATA_TYPE_HALF: "float16",
}


class TFServing:
    """Backend and Catalog over one channel. Calls fail while the channel reconnects."""

    def __init__(self, target: str, model_name: str, *, interceptors: Sequence[grpc.aio.ClientInterceptor] = ()) -> None:
        """`target` is a gRPC target such as "localhost:8500" or "unix:///run/model.sock"."""
        self._name = model_name
        self._channel = grpc.aio.insecure_channel(target, options=_CHANNEL_OPTIONS, interceptors=interceptors)
        self._prediction = PredictionServiceStub(self._channel)
        self._model = ModelServiceStub(self._channel)

    async def predict(self, batch: Batch, *, timeout: float | None) -> Scores:  # noqa: ASYNC109
        request = predict_pb2.PredictRequest(model_spec=self._model_spec(batch.version), output_filter=[PROBABILITIES])
        request.model_spec.signature_name = SIGNATURE
        pack_int32(batch.input_ids, request.inputs[INPUT_IDS])
        pack_int32(batch.attention_mask, request.inputs[ATTENTION_MASK])
        response = await self._call(self._prediction.Predict(request, timeout=timeout))
        return _scores(response, rows=len(batch.input_ids))

    async def versions(self) -> tuple[int, ...]:
        request = predict_pb2.GetModelStatusRequest(model_spec=self._model_spec(None))
        response = await self._call(self._model.GetModelStatus(request, timeout=_METADATA_TIMEOUT_SECONDS))
        available = predict_pb2.ModelVersionStatus.STATE_AVAILABLE
        versions = (status.version for status in response.model_version_status if status.state == available)
        return tuple(sorted(versions, reverse=True))

    async def signature(self, version: int) -> Signature:
        request = predict_pb2.GetModelMetadataRequest(model_spec=self._model_spec(version), metadata_field=["signature_def"])
        response = await self._call(self._prediction.GetModelMetadata(request, timeout=_METADATA_TIMEOUT_SECONDS))
        # Any.Unpack() would fail: the type URL has TF Serving's package name, not the name in our
        # protos.
        signatures = predict_pb2.SignatureDefMap.FromString(response.metadata["signature_def"].value).signature_def
        if SIGNATURE not in signatures:
            raise ModelServerError(f"version {version} has no signature {SIGNATURE}; it has {sorted(signatures)}")
        definition = signatures[SIGNATURE]
        return Signature(
            inputs={name: _tensor_spec(info) for name, info in definition.inputs.items()},
            outputs={name: _tensor_spec(info) for name, info in definition.outputs.items()},
        )

    async def close(self) -> None:
        """Closes the channel. Calls in flight fail."""
        await self._channel.close()

    def _model_spec(self, version: int | None) -> predict_pb2.ModelSpec:
        spec = predict_pb2.ModelSpec(name=self._name)
        if version is not None:
            spec.version.value = version
        return spec

    async def _call(self, call: Awaitable[_Reply]) -> _Reply:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise self._sidecar_error(error) from None

    def _sidecar_error(self, error: grpc.aio.AioRpcError) -> SidecarError:
        code, details = error.code(), error.details() or ""
        match code:
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
                return ModelServerLostError("the model server cannot be reached: retry later")
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return DeadlineError("the model server did not respond in time: set a longer deadline, or retry later")
            case grpc.StatusCode.RESOURCE_EXHAUSTED:
                return OverloadedError("the model server is overloaded: retry later")
            # A kernel that misses a variable responds NOT_FOUND, too.
            case grpc.StatusCode.NOT_FOUND if details.startswith(_VERSION_GONE):
                return VersionGoneError(f"the model server does not serve the model {self._name}: {details[:200]}")
            case _:
                return ModelServerError(f"the model server responded {code.name}: {details[:200]}")


def dtype_name(number: int) -> str:
    """TensorFlow's name of a data type, such as "float32".

    Contains the number if the type is unknown.
    """
    return _DTYPE_NAMES.get(number, f"dtype {number}")


def pack_int32(array: npt.NDArray[np.int32], tensor: tensor_pb2.Tensor) -> None:
    """Copies an array into an empty tensor."""
    tensor.dtype = tensor_pb2.DATA_TYPE_INT32
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = array.astype("<i4", copy=False).tobytes()


def unpack_float32(tensor: tensor_pb2.Tensor) -> npt.NDArray[np.float32]:
    """The array of a tensor. Raises ValueError for a wrong data type or size."""
    if tensor.dtype != tensor_pb2.DATA_TYPE_FLOAT:
        raise ValueError(f"has type {dtype_name(tensor.dtype)}, expected float32")
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    size = math.prod(shape)
    if tensor.tensor_content:
        values = np.frombuffer(tensor.tensor_content, dtype="<f4")
    else:
        values = np.array(tensor.float_val, dtype=np.float32)
        # TensorFlow omits trailing elements that repeat the last value (tensor.proto).
        if 0 < len(values) < size:
            values = np.pad(values, (0, size - len(values)), mode="edge")
    if len(values) != size:
        raise ValueError(f"has {len(values)} elements, but its shape is {list(shape)}")
    return values.reshape(shape)


def _scores(response: predict_pb2.PredictResponse, *, rows: int) -> Scores:
    if PROBABILITIES not in response.outputs:
        raise ModelServerError(f"the response of the model server has no output {PROBABILITIES}")
    try:
        scores = unpack_float32(response.outputs[PROBABILITIES])
    except ValueError as error:
        raise ModelServerError(f"the model server's {PROBABILITIES} {error}") from None
    if scores.ndim != 2 or len(scores) != rows:
        raise ModelServerError(f"the model server's {PROBABILITIES} has shape {list(scores.shape)}, expected {rows} rows")
    if not np.isfinite(scores).all():
        raise ModelServerError(f"the model server's {PROBABILITIES} has values that are not finite")
    return scores


def _tensor_spec(info: predict_pb2.TensorInfo) -> TensorSpec:
    shape = None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
    return TensorSpec(dtype_name(info.dtype), shape)
