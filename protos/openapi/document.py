"""The OpenAPI document of the public API."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from protos.openapi.comments import comments
from protos.openapi.schemas import Json, Schemas

SERVICE: Final = "undertone.v1.Classifier"
SUPPLEMENT: Final = Path(__file__).with_name("supplement.yaml")
"""What the .proto files do not say."""
OPEN_INFERENCE: Final = Path(__file__).with_name("open_inference.yaml")
"""The Open Inference Protocol, whose REST form is not that of its .proto file."""


def document(descriptors: FileDescriptorSet) -> Json:
    """The document. The descriptors need their source positions, which have the comments.

    Raises:
        ValueError: Requests and responses have the same type. Its schemas would differ.
    """
    pool = DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    supplement = yaml.safe_load(SUPPLEMENT.read_text())
    texts = comments(descriptors)
    requests = Schemas(texts, supplement["fields"], of_requests=True)
    responses = Schemas(texts, supplement["fields"], of_requests=False)
    service = pool.FindServiceByName(SERVICE)
    paths: dict[str, Json] = {}
    for method in service.methods:
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        verb = rule.WhichOneof("pattern")
        answer, added = responses.message(method.output_type), supplement["operations"][method.name]
        operation = _operation(method, texts[method.full_name], answer, added)
        if rule.body:
            body = {"schema": requests.message(method.input_type), "examples": added["requests"]}
            operation["requestBody"] = {"required": True, "content": {"application/json": body}}
        paths.setdefault(getattr(rule, verb), {})[verb] = operation
    responses.message(pool.FindMessageTypeByName("google.rpc.Status"))
    if both := requests.found.keys() & responses.found.keys():
        raise ValueError(f"requests and responses both have {', '.join(sorted(both))}: use different types")
    base: Json = supplement["document"]
    base["tags"].insert(0, {"name": service.name, "description": texts[service.full_name]})
    base["paths"] = paths | base["paths"]
    base["components"]["schemas"] = requests.found | responses.found
    _add(base, yaml.safe_load(OPEN_INFERENCE.read_text()))
    return base


def _add(base: Json, protocol: Json) -> None:
    """Adds the paths and components of another protocol."""
    base["tags"].insert(1, protocol["tag"])
    for path in protocol["paths"].values():
        for verb in path.keys() & {"get", "post"}:
            path[verb]["tags"] = [protocol["tag"]["name"]]
    base["paths"] |= protocol["paths"]
    for kind in ("parameters", "responses", "schemas"):
        base["components"][kind] |= protocol[kind]


def _operation(method: MethodDescriptor, description: str, answer: Json, supplement: Mapping[str, Any]) -> Json:
    errors = {status: {"$ref": f"#/components/responses/{name}"} for status, name in supplement["errors"].items()}
    content = {"application/json": {"schema": answer, "example": supplement["response"]}}
    return {
        "operationId": method.name[0].lower() + method.name[1:],
        "tags": [method.containing_service.name],
        "summary": description.partition(".")[0],
        "description": description,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in supplement["parameters"]],
        "responses": {"200": {"description": "OK", "content": content}, **errors},
    }
