"""Calls of the service by a generic gRPC client, which has no .proto files and uses reflection."""

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.api.annotations_pb2 import http as http_rule
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from undertone_protos.v1 import classifier_pb2

from tests.integration.conftest import Pod
from tests.integration.support.callers import ask_batch
from tests.integration.support.processes import buf_curl

BufCurl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def call(pod: Pod) -> BufCurl:
    """Calls a method of the sidecar with `buf curl`."""

    def run(method: str, request: object = None) -> "subprocess.CompletedProcess[str]":
        return buf_curl(f"http://{pod.sidecar.target}/{method}", request=request)

    return run


@pytest.fixture
def reflected(pod: Pod) -> Iterator[DescriptorPool]:
    """The descriptors that the sidecar's reflection service returns."""
    with grpc.insecure_channel(pod.sidecar.target) as channel:
        yield DescriptorPool(ProtoReflectionDescriptorDatabase(channel))


def answer(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_lists_services_and_methods(pod: Pod) -> None:
    services = buf_curl("--list-services", f"http://{pod.sidecar.target}").stdout
    assert set(services.split()) == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
        "undertone.v1.Classifier",
    }
    methods = buf_curl("--list-methods", f"http://{pod.sidecar.target}").stdout.split()
    ours = [method for method in methods if method.startswith("undertone.v1.Classifier/")]
    assert ours == [f"undertone.v1.Classifier/{name}" for name in ("Classify", "ClassifyBatch", "GetModel")]


def test_describes_messages_and_http_rules(reflected: DescriptorPool) -> None:
    method = reflected.FindServiceByName("undertone.v1.Classifier").methods_by_name["Classify"]
    assert method.GetOptions().Extensions[http_rule].post == "/v1/paragraphs:classify"
    field = reflected.FindMessageTypeByName("undertone.v1.ClassifyRequest").fields_by_name["overlength_policy"]
    assert field.enum_type
    assert (field.number, field.enum_type.full_name) == (3, "undertone.v1.OverlengthPolicy")
    served = classifier_pb2.DESCRIPTOR.serialized_pb
    assert reflected.FindFileByName(classifier_pb2.DESCRIPTOR.name).serialized_pb == served


def test_calls_with_json(call: BufCurl) -> None:
    request = {"text": "the rain", "id": "a", "overlength_policy": "TRUNCATE"}
    reply = answer(call("undertone.v1.Classifier/Classify", request))
    assert (reply["id"], reply["tokens"], reply["chunks"]) == ("a", 4, 1)
    assert reply["label"] in reply["labels"]
    assert sum(reply["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert (reply["model"]["name"], reply["model"]["version"], reply["model"]["precision"]) == ("emotions", "1", "fp32")
    model = answer(call("undertone.v1.Classifier/GetModel"))
    assert model["contract"]["labels"] == reply["labels"]
    assert answer(call("grpc.health.v1.Health/Check")) == {"status": "SERVING"}
    health = call("grpc.health.v1.Health/Check", {"service": "undertone.v1.Classifier"})
    assert answer(health) == {"status": "SERVING"}


async def test_json_of_a_batch_equals_the_message(pod: Pod, call: BufCurl) -> None:
    texts = ["the rain", "", "the sea " * 60]
    request = {"paragraphs": [{"text": text, "id": str(index)} for index, text in enumerate(texts)]}
    reply = answer(call("undertone.v1.Classifier/ClassifyBatch", request))
    async with pod.sidecar.connected() as stub:
        message = await ask_batch(stub, texts)
    assert reply["labels"] == list(message.labels)
    for index, (result, expected) in enumerate(zip(reply["results"], message.results, strict=True)):
        assert result["id"] == str(index)
        if index == 1:
            assert result["error"] == {"code": 3, "message": expected.error.message}
            continue
        classification = result["classification"]
        assert classification["probabilities"] == pytest.approx(list(expected.classification.probabilities), abs=1e-5)
        assert classification.get("labelIndex", 0) == expected.classification.label_index
        assert classification["label"] == expected.classification.label
        assert classification["tokens"] == expected.classification.tokens
        assert classification["chunks"] == expected.classification.chunks
    assert [result["classification"]["chunks"] for result in reply["results"][::2]] == [1, 3]


def test_errors_have_code_and_message(call: BufCurl) -> None:
    done = call("undertone.v1.Classifier/Classify", {"text": " "})
    assert done.returncode != 0
    assert json.loads(done.stderr) == {
        "code": "invalid_argument",
        "message": "text is empty or white space only; send at least one visible character",
    }
    done = call("undertone.v1.Classifier/Classify", {"text": "rain", "overlength_policy": "SHORTEN"})
    assert done.returncode != 0
    assert 'invalid value for enum field overlengthPolicy: "SHORTEN"' in done.stderr
