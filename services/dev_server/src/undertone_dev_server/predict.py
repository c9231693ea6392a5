"""Predict: a request checked against a signature, run, and put into a response."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from tensorflow.core.framework import tensor_shape_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2

from undertone_dev_server import tensors
from undertone_dev_server.errors import InvalidCallError, UnknownSignatureError
from undertone_dev_server.servable import Array, Servable, SignatureDef

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class Run:
    """What a request asks a Session for: tensors to feed by tensor name, and tensor names to fetch by output alias."""

    signature_name: str
    feeds: Mapping[str, Array]
    fetches: Mapping[str, str]


def plan(signatures: Mapping[str, SignatureDef], request: predict_pb2.PredictRequest) -> Run:
    """Checks a request against the model's signatures.

    Raises UnknownSignatureError, and InvalidCallError for missing, superfluous or unparsable inputs, wrong dtypes or shapes,
    and output aliases that are unknown or named twice.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise UnknownSignatureError(f'Serving signature key "{name}" not found.')
    signature = signatures[name]
    return Run(name, _feeds(signature, request), _fetches(signature, request.output_filter))


def run(servable: Servable, request: predict_pb2.PredictRequest, timeout: float | None) -> predict_pb2.PredictResponse:
    """Answers a request, with everything in the response but the model's name and version.

    `timeout` is in seconds, None for no limit. Raises what `plan` raises, and GraphError.
    """
    planned = plan(servable.signatures, request)
    outputs = servable.run(list(planned.fetches.values()), planned.feeds, timeout)
    response = predict_pb2.PredictResponse()
    response.model_spec.signature_name = planned.signature_name
    for alias, output in zip(planned.fetches, outputs, strict=True):
        response.outputs[alias].CopyFrom(tensors.encode(np.asarray(output)))
    return response


def _feeds(signature: SignatureDef, request: predict_pb2.PredictRequest) -> dict[str, Array]:
    sent, wanted = set(request.inputs), set(signature.inputs)
    if len(sent) > len(wanted) or (len(sent) < len(wanted) and not signature.defaults):
        raise InvalidCallError(
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({_listed(sent)}) != len({_listed(wanted)}). "
            f"Sent extra: {_listed(sent - wanted)}. Missing but required: {_listed(wanted - sent)}."
        )
    feeds = {}
    for position, alias in enumerate(sorted(wanted)):
        info = signature.inputs[alias]
        proto = request.inputs[alias] if alias in sent else signature.defaults.get(alias)
        if proto is None:
            raise InvalidCallError(
                f"Signature input alias: {alias}(feed name: {info.name}) not found in request and no default value provided. "
                f"Inputs expected to be in the request {_listed(sent)}, "
                f"or default input alias set: {_listed(signature.defaults)}"
            )
        # A Session in Python would cast the values in silence; the one in TF Serving refuses.
        if proto.dtype != info.dtype:
            raise InvalidCallError(
                f"Expects arg[{position}] to be {_dtype(info.dtype)} but {_dtype(proto.dtype)} is provided ({alias})"
            )
        array = tensors.decode(alias, proto)
        if not _fits(array.shape, info.tensor_shape):
            raise InvalidCallError(
                f"input {alias} has shape {list(array.shape)}; the signature takes {_shape(info.tensor_shape)}"
            )
        feeds[info.name] = array
    if sent - wanted:
        raise InvalidCallError(
            f"Inputs contains invalid name. Used request inputs: {_listed(sent & wanted)}, request input: {_listed(sent)}"
        )
    return feeds


def _fetches(signature: SignatureDef, output_filter: Iterable[str]) -> dict[str, str]:
    fetches: dict[str, str] = {}
    for alias in output_filter or sorted(signature.outputs):
        if alias not in signature.outputs:
            raise InvalidCallError(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_listed(signature.outputs)}."
            )
        if alias in fetches:
            raise InvalidCallError(f"duplicate output tensor alias: {alias}")
        fetches[alias] = signature.outputs[alias].name
    return fetches


def _fits(shape: tuple[int, ...], wanted: tensor_shape_pb2.TensorShapeProto) -> bool:
    if wanted.unknown_rank:
        return True
    return len(shape) == len(wanted.dim) and all(dim.size in (-1, size) for size, dim in zip(shape, wanted.dim, strict=True))


def _shape(shape: tensor_shape_pb2.TensorShapeProto) -> str:
    return "[" + ", ".join("any" if dim.size == -1 else str(dim.size) for dim in shape.dim) + "]"


def _dtype(number: int) -> str:
    known = number in types_pb2.DataType.values()
    return types_pb2.DataType.Name(number).removeprefix("DT_").lower() if known else str(number)


def _listed(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
