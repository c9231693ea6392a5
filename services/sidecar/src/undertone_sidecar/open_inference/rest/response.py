"""Inference responses: JSON, and binary tensors after it."""

import json
from typing import Any

import numpy as np
from undertone_protos.inference import open_inference_pb2

from undertone_sidecar.open_inference import raw_bytes
from undertone_sidecar.open_inference.outputs import DTYPES
from undertone_sidecar.open_inference.request import BYTES
from undertone_sidecar.open_inference.rest.request import BINARY_SIZE, BinaryOutputs


def write_response(response: open_inference_pb2.ModelInferResponse, binary: BinaryOutputs) -> tuple[bytes, int | None]:
    """The body of a response with raw contents.

    Returns:
        The body, and the size of its JSON object in bytes. The size is None without binary outputs.
    """
    outputs, parts = [], []
    for tensor, data in zip(response.outputs, response.raw_output_contents, strict=True):
        fields: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if tensor.name in binary:
            fields["parameters"] = {BINARY_SIZE: len(data)}
            parts.append(data)
        else:
            fields["data"] = _elements(tensor, data)
        outputs.append(fields)
    content: dict[str, Any] = {"model_name": response.model_name, "model_version": response.model_version}
    if response.id:
        content["id"] = response.id
    text = json.dumps(content | {"outputs": outputs}, ensure_ascii=False, separators=(",", ":")).encode()
    return b"".join((text, *parts)), len(text) if parts else None


def _elements(tensor: open_inference_pb2.ModelInferResponse.InferOutputTensor, data: bytes) -> list[Any]:
    """The elements in row-major order."""
    if tensor.datatype == BYTES:
        return [element.decode() for element in raw_bytes.unpack(data, tensor.shape[0], tensor.name)]
    elements: list[Any] = np.frombuffer(data, DTYPES[tensor.datatype]).tolist()
    return elements
