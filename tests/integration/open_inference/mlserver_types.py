"""Reads answers of a pod with MLServer's types, and prints what they contain as JSON.

Usage: mlserver_types.py GRPC_TARGET HTTP_URL, with the texts as a JSON array on standard input.
It runs in build/inference-clients.
"""

import json
import sys
import urllib.request

import grpc
from mlserver.codecs import StringCodec
from mlserver.grpc import converters, dataplane_pb2_grpc
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse, MetadataServerResponse


def http(path: str, body: str | None = None) -> bytes:
    data = None if body is None else body.encode()
    with urllib.request.urlopen(f"{url}{path}", data) as response:  # noqa: S310
        content: bytes = response.read()
        return content


def content(response: InferenceResponse) -> dict[str, object]:
    outputs = {output.name: output for output in response.outputs}
    return {
        "label": StringCodec.decode_output(outputs["label"]),
        "probabilities": list(outputs["probabilities"].data),
        "shape": outputs["probabilities"].shape,
        "model": [response.model_name, response.model_version, response.id],
    }


target, url = sys.argv[1:]
texts: list[str] = json.load(sys.stdin)
# The codec adds the parameter content_type. JSON has null for what is not set.
rest, typed = (
    InferenceRequest(id="7", inputs=[StringCodec.encode_input("text", texts, use_bytes=bytes_)]) for bytes_ in (False, True)
)
with grpc.insecure_channel(target) as channel:
    stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
    message = converters.ModelInferRequestConverter.from_types(typed, model_name="emotions", use_raw=False)
    grpc_answer = converters.ModelInferResponseConverter.to_types(stub.ModelInfer(message))
metadata = MetadataModelResponse.model_validate_json(http("/v2/models/emotions"))
print(
    json.dumps(
        {
            "server": MetadataServerResponse.model_validate_json(http("/v2")).name,
            "inputs": [[tensor.name, tensor.datatype, tensor.shape] for tensor in metadata.inputs or []],
            "rest": content(InferenceResponse.model_validate_json(http("/v2/models/emotions/infer", rest.model_dump_json()))),
            "grpc": content(grpc_answer),
        }
    )
)
