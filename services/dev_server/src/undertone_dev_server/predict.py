"""Predict: validates a request against a signature, runs the graph, and builds the response."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from tensorflow_serving.apis import predict_pb2

from undertone_dev_server.errors import InvalidCallError, UnknownSignatureError
from undertone_dev_server.metrics import Metrics
from undertone_dev_server.servable import Array, Servable, SignatureDef
from undertone_dev_server.tensors import decode, encode

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A valid request: `feeds` maps tensor names to arrays, `fetches` maps output aliases to tensor
    names.
    """

    signature_name: str
    feeds: Mapping[str, Array]
    fetches: Mapping[str, str]


def run(
    servable: Servable, request: predict_pb2.PredictRequest, timeout: float | None, metrics: Metrics
) -> predict_pb2.PredictResponse:
    """Answers a request. The caller adds the model's name and version to the response.

    `timeout` is in seconds; None means no limit. See Servable.run. Raises the errors of `prepare`,
    and GraphError.
    """
    call = prepare(servable.signatures, request)
    with metrics.measure_graph(request.model_spec.name):
        outputs = servable.run(list(call.fetches.values()), call.feeds, timeout)
    response = predict_pb2.PredictResponse()
    response.model_spec.signature_name = call.signature_name
    for alias, output in zip(call.fetches, outputs, strict=True):
        response.outputs[alias].CopyFrom(encode(np.asarray(output)))
    return response


def prepare(signatures: Mapping[str, SignatureDef], request: predict_pb2.PredictRequest) -> PreparedCall:
    """Validates a request against the signatures of the model.

    Raises UnknownSignatureError. Raises InvalidCallError for missing, additional or malformed
    inputs, and unknown or repeated outputs. As in TF Serving, nothing compares the dtypes and
    shapes with the signature: the Session refuses a wrong dtype, and the kernels refuse the shapes
    that they cannot compute.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise UnknownSignatureError(f'Serving signature key "{name}" not found.')
    signature = signatures[name]
    return PreparedCall(name, _feeds(signature, request), _fetches(signature, request.output_filter))


def _feeds(signature: SignatureDef, request: predict_pb2.PredictRequest) -> dict[str, Array]:
    sent, required = set(request.inputs), set(signature.inputs)
    if len(sent) > len(required) or (len(sent) < len(required) and not signature.defaults):
        raise InvalidCallError(
            f"input size does not match signature: {len(sent)}!={len(required)} len({_set(sent)}) != len({_set(required)}). "
            f"Sent extra: {_set(sent - required)}. Missing but required: {_set(required - sent)}."
        )
    feeds = {}
    for alias in sorted(required):
        info = signature.inputs[alias]
        proto = request.inputs[alias] if alias in sent else signature.defaults.get(alias)
        if proto is None:
            raise InvalidCallError(
                f"Signature input alias: {alias}(feed name: {info.name}) not found in request and no default value provided. "
                f"Inputs expected to be in the request {_set(sent)}, or default input alias set: {_list(signature.defaults)}"
            )
        feeds[info.name] = decode(alias, proto)
    if sent - required:
        raise InvalidCallError(
            f"Inputs contains invalid name. Used request inputs: {_list(sent & required)}, request input: {_list(sent)}"
        )
    return feeds


def _fetches(signature: SignatureDef, output_filter: Iterable[str]) -> dict[str, str]:
    fetches: dict[str, str] = {}
    for alias in output_filter or sorted(signature.outputs):
        if alias not in signature.outputs:
            raise InvalidCallError(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_set(signature.outputs)}."
            )
        if alias in fetches:
            raise InvalidCallError(f"duplicate output tensor alias: {alias}")
        fetches[alias] = signature.outputs[alias].name
    return fetches


def _list(names: Iterable[str]) -> str:
    return ",".join(sorted(names))


def _set(names: Iterable[str]) -> str:
    return "{" + _list(names) + "}"
