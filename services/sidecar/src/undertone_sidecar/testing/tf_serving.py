"""A fake TF Serving on a real socket, with the scores of FakeBackend."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio
import numpy as np
from undertone_protos.tf_serving import GET_MODEL_METADATA, GET_MODEL_STATUS, PREDICT
from undertone_protos.tfserving.v1 import predict_pb2, tensor_pb2

from undertone_sidecar.backend import Scores
from undertone_sidecar.contract import ATTENTION_MASK, INPUT_IDS, PROBABILITIES, SIGNATURE
from undertone_sidecar.testing.backend import probabilities

_State = predict_pb2.ModelVersionStatus

_SIGNATURE_URL: Final = "type.googleapis.com/tensorflow.serving.SignatureDefMap"


class FakeTFServing:
    """Serves one model. It can be stopped, which closes the socket like a crash, and started again.

    Attributes:
        versions: Available versions. Can be changed at any time.
        labels: Number of labels.
        multi_label: Whether the scores are those of a multi-label model.
        seconds: Minimum duration of a Predict call.
        seconds_per_token: Additional duration for each padded token of the call.
        input_dtype: Data type of the inputs in the signature.
        shapes: Rows and length of the Predict calls so far.
        served: Versions of the Predict calls so far.
        metadata: Metadata of the Predict calls so far.
        fails: Called with each Predict request. Returns a status code to fail with, or None.
        changes: Changes the scores of each response.
        status_fails: Status code to fail GetModelStatus with, or None.
        status_calls: Number of GetModelStatus calls so far.
        hanging: Set when a Predict call hangs because of `hold`.
    """

    def __init__(self, name: str, *versions: int, labels: int = 9, multi_label: bool = False) -> None:
        self.name = name
        self.versions = set(versions)
        self.labels = labels
        self.multi_label = multi_label
        self.seconds = 0.0
        self.seconds_per_token = 0.0
        self.input_dtype: tensor_pb2.DataType.ValueType = tensor_pb2.DATA_TYPE_INT32
        self.shapes: list[tuple[int, int]] = []
        self._called = asyncio.Event()
        self.served: list[int] = []
        self.metadata: list[dict[str, str]] = []
        self.fails: Callable[[predict_pb2.PredictRequest], grpc.StatusCode | None] = lambda _: None
        self.changes: Callable[[Scores], Scores] = lambda scores: scores
        self.hanging = asyncio.Event()
        self.status_fails: grpc.StatusCode | None = None
        self.status_calls = 0
        self._released = asyncio.Event()
        self._released.set()
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str) -> int:
        """Listens on host:port or unix:PATH, and returns the port."""
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        self._server.add_generic_rpc_handlers(
            (
                _handler(PREDICT, self._predict, predict_pb2.PredictRequest),
                _handler(GET_MODEL_METADATA, self._metadata, predict_pb2.GetModelMetadataRequest),
                _handler(GET_MODEL_STATUS, self._status, predict_pb2.GetModelStatusRequest),
            )
        )
        port = self._server.add_insecure_port(address)
        await self._server.start()
        return port

    async def stop(self) -> None:
        """Drops all connections and calls in flight."""
        if self._server:
            await self._server.stop(None)
            self._server = None

    def hold(self) -> None:
        """Makes Predict calls hang until `release`."""
        self._released.clear()
        self.hanging.clear()

    def release(self) -> None:
        """Lets all Predict calls finish."""
        self._released.set()

    async def wait_for_lengths(self, *lengths: int) -> None:
        """Waits until there was a Predict call with each length."""
        while not {length for _, length in self.shapes}.issuperset(lengths):
            self._called.clear()
            await self._called.wait()

    async def _predict(self, request: predict_pb2.PredictRequest, context: Any) -> predict_pb2.PredictResponse:
        version = await self._check_version(request.model_spec, context)
        if code := self.fails(request):
            gone = "Servable not found for request: " if code is grpc.StatusCode.NOT_FOUND else ""
            await context.abort(code, f"{gone}as the test asked")
        arrays = {}
        for name, tensor in request.inputs.items():
            shape = [dim.size for dim in tensor.tensor_shape.dim]
            arrays[name] = np.frombuffer(tensor.tensor_content, dtype="<i4").reshape(shape)
        rows, length = arrays[INPUT_IDS].shape
        self.shapes.append((rows, length))
        self._called.set()
        self.served.append(version)
        self.metadata.append(dict(context.invocation_metadata()))
        if seconds := self.seconds + self.seconds_per_token * rows * length:
            await asyncio.sleep(seconds)
        if not self._released.is_set():
            self.hanging.set()
            await self._released.wait()
        scores = self.changes(
            probabilities(arrays[INPUT_IDS], arrays[ATTENTION_MASK], labels=self.labels, multi_label=self.multi_label)
        )
        response = predict_pb2.PredictResponse()
        output = response.outputs[PROBABILITIES]
        output.dtype = tensor_pb2.DATA_TYPE_FLOAT
        for size in scores.shape:
            output.tensor_shape.dim.add(size=size)
        output.float_val.extend(scores.ravel().tolist())
        return response

    async def _metadata(
        self, request: predict_pb2.GetModelMetadataRequest, context: Any
    ) -> predict_pb2.GetModelMetadataResponse:
        await self._check_version(request.model_spec, context)
        definition = predict_pb2.SignatureDef()
        for name in (INPUT_IDS, ATTENTION_MASK):
            definition.inputs[name].CopyFrom(_info(self.input_dtype, -1, -1))
        definition.outputs[PROBABILITIES].CopyFrom(_info(tensor_pb2.DATA_TYPE_FLOAT, -1, self.labels))
        signatures = predict_pb2.SignatureDefMap(signature_def={SIGNATURE: definition})
        response = predict_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].type_url = _SIGNATURE_URL
        response.metadata["signature_def"].value = signatures.SerializeToString()
        return response

    async def _status(self, request: predict_pb2.GetModelStatusRequest, context: Any) -> predict_pb2.GetModelStatusResponse:
        self.status_calls += 1
        if self.status_fails:
            await context.abort(self.status_fails, "as the test asked")
        if request.model_spec.name != self.name:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {request.model_spec.name}")
        states = [_State(version=version, state=_State.STATE_AVAILABLE) for version in sorted(self.versions)]
        return predict_pb2.GetModelStatusResponse(model_version_status=states)

    async def _check_version(self, spec: predict_pb2.ModelSpec, context: Any) -> int:
        version = spec.version.value
        if spec.name != self.name or version not in self.versions:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Specific({spec.name}, {version})")
        return version


def _handler(path: str, behaviour: Callable[[Any, Any], Awaitable[Any]], request: Any) -> grpc.GenericRpcHandler:
    _, service, method = path.split("/")
    handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
        behaviour,
        request_deserializer=request.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler(service, {method: handler})


def _info(dtype: tensor_pb2.DataType.ValueType, *shape: int) -> predict_pb2.TensorInfo:
    info = predict_pb2.TensorInfo(dtype=dtype)
    for size in shape:
        info.tensor_shape.dim.add(size=size)
    return info
