"""TF Serving's gRPC API over a real socket, with FakeBackend's arithmetic behind it."""

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
    """Serves the versions in `versions` of one model; change the set at any time.

    `fails` is asked before each Predict, and the status code that it returns is the answer; `spoils` changes the scores. While
    `hold` is in force Predict hangs until `release`. `shapes`, `served` and `metadata` are the batches, versions and metadata
    of the Predict calls so far. Stopping closes the socket as a killed process would; it can be started again.
    """

    def __init__(self, name: str, *versions: int, labels: int = 9) -> None:
        self.name = name
        self.versions = set(versions)
        self.labels = labels
        self.input_dtype: tensor_pb2.DataType.ValueType = tensor_pb2.DATA_TYPE_INT32
        self.shapes: list[tuple[int, int]] = []
        self._asked = asyncio.Event()
        self.served: list[int] = []
        self.metadata: list[dict[str, str]] = []
        self.fails: Callable[[predict_pb2.PredictRequest], grpc.StatusCode | None] = lambda _: None
        self.spoils: Callable[[Scores], Scores] = lambda scores: scores
        self.hanging = asyncio.Event()
        self.status_fails: grpc.StatusCode | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str) -> int:
        """Listens on a host and port, or unix:PATH; returns the port."""
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        self._server.add_generic_rpc_handlers(
            (
                _handlers(PREDICT, self._predict, predict_pb2.PredictRequest),
                _handlers(GET_MODEL_METADATA, self._metadata, predict_pb2.GetModelMetadataRequest),
                _handlers(GET_MODEL_STATUS, self._status, predict_pb2.GetModelStatusRequest),
            )
        )
        port = self._server.add_insecure_port(address)
        await self._server.start()
        return port

    async def stop(self) -> None:
        """Drops connections and running calls at once."""
        if self._server:
            await self._server.stop(None)
            self._server = None

    def hold(self) -> None:
        """Lets no Predict end; `hanging` is set once there is one."""
        self._open.clear()
        self.hanging.clear()

    def release(self) -> None:
        """Lets Predict calls end, those that hang included."""
        self._open.set()

    async def until_tried(self, *lengths: int) -> None:
        """Waits until Predict was called at each of the lengths."""
        while not {length for _, length in self.shapes}.issuperset(lengths):
            self._asked.clear()
            await self._asked.wait()

    async def _predict(self, request: predict_pb2.PredictRequest, context: Any) -> predict_pb2.PredictResponse:
        version = await self._version(request.model_spec, context)
        if code := self.fails(request):
            await context.abort(code, "as the test asked")
        arrays = {}
        for name, tensor in request.inputs.items():
            shape = [dim.size for dim in tensor.tensor_shape.dim]
            arrays[name] = np.frombuffer(tensor.tensor_content, dtype="<i4").reshape(shape)
        rows, length = arrays[INPUT_IDS].shape
        self.shapes.append((rows, length))
        self._asked.set()
        self.served.append(version)
        self.metadata.append(dict(context.invocation_metadata()))
        if not self._open.is_set():
            self.hanging.set()
            await self._open.wait()
        scores = self.spoils(probabilities(arrays[INPUT_IDS], arrays[ATTENTION_MASK], labels=self.labels))
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
        await self._version(request.model_spec, context)
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
        if self.status_fails:
            await context.abort(self.status_fails, "as the test asked")
        if request.model_spec.name != self.name:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {request.model_spec.name}")
        states = [_State(version=version, state=_State.STATE_AVAILABLE) for version in sorted(self.versions)]
        return predict_pb2.GetModelStatusResponse(model_version_status=states)

    async def _version(self, spec: predict_pb2.ModelSpec, context: Any) -> int:
        version = spec.version.value
        if spec.name != self.name or version not in self.versions:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Specific({spec.name}, {version})")
        return version


def _handlers(path: str, behaviour: Callable[[Any, Any], Awaitable[Any]], request: Any) -> grpc.GenericRpcHandler:
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
