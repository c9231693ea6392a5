"""The service as somebody finds it who has grpcurl and no .proto files."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.conftest import Pod
from tests.integration.support.callers import ask_batch
from tests.integration.support.processes import PATIENCE_SECONDS, command

Grpcurl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def grpcurl(pod: Pod) -> Grpcurl:
    """Runs `grpcurl` on the sidecar, with a request if there is one to send."""

    def run(*arguments: str, request: object = None) -> "subprocess.CompletedProcess[str]":
        data = [] if request is None else ["-d", json.dumps(request)]
        program = [command("grpcurl"), "-plaintext", *data, pod.sidecar.target, *arguments]
        return subprocess.run(program, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)

    return run


def answer(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_lists_and_describes(grpcurl: Grpcurl) -> None:
    assert set(grpcurl("list").stdout.split()) == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "undertone.v1.Classifier",
    }
    methods = ("Classify", "ClassifyBatch", "GetModel")
    assert grpcurl("list", "undertone.v1.Classifier").stdout.split() == [f"undertone.v1.Classifier.{name}" for name in methods]
    service = grpcurl("describe", "undertone.v1.Classifier").stdout
    assert 'post:"/v1/paragraphs:classify"' in service
    message = grpcurl("describe", "undertone.v1.ClassifyRequest").stdout
    assert ".undertone.v1.OverlengthPolicy overlength_policy = 3;" in message


def test_calls_with_json(grpcurl: Grpcurl) -> None:
    request = {"text": "the rain", "id": "a", "overlength_policy": "OVERLENGTH_POLICY_TRUNCATE"}
    reply = answer(grpcurl("undertone.v1.Classifier/Classify", request=request))
    assert (reply["id"], reply["tokens"], reply["chunks"]) == ("a", 4, 1)
    assert reply["label"] in reply["labels"]
    assert sum(reply["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert (reply["model"]["name"], reply["model"]["version"], reply["model"]["precision"]) == ("emotions", "1", "fp32")
    model = answer(grpcurl("undertone.v1.Classifier/GetModel"))
    assert model["contract"]["labels"] == reply["labels"]
    assert answer(grpcurl("grpc.health.v1.Health/Check")) == {"status": "SERVING"}
    health = grpcurl("grpc.health.v1.Health/Check", request={"service": "undertone.v1.Classifier"})
    assert answer(health) == {"status": "SERVING"}


async def test_the_json_of_a_batch_says_what_the_message_says(pod: Pod, grpcurl: Grpcurl) -> None:
    texts = ["the rain", "", "the sea " * 60]
    request = {"paragraphs": [{"text": text, "id": str(index)} for index, text in enumerate(texts)]}
    reply = answer(grpcurl("undertone.v1.Classifier/ClassifyBatch", request=request))
    async with pod.sidecar.connected() as stub:
        message = await ask_batch(stub, texts)
    assert reply["labels"] == list(message.labels)
    for index, (shown, result) in enumerate(zip(reply["results"], message.results, strict=True)):
        assert shown["id"] == str(index)
        if index == 1:
            assert shown["error"] == {"code": 3, "message": result.error.message}
            continue
        shown, expected = shown["classification"], result.classification
        assert shown["probabilities"] == pytest.approx(list(expected.probabilities), abs=1e-5)
        assert shown.get("label_index", 0) == expected.label_index
        assert (shown["tokens"], shown["chunks"]) == (expected.tokens, expected.chunks)
    assert [shown["classification"]["chunks"] for shown in reply["results"][::2]] == [1, 3]


def test_a_refusal_is_named(grpcurl: Grpcurl) -> None:
    done = grpcurl("undertone.v1.Classifier/Classify", request={"text": " "})
    assert done.returncode != 0
    assert "Code: InvalidArgument" in done.stderr
    assert "Message: text is empty or white space only; send at least one visible character" in done.stderr
    done = grpcurl("undertone.v1.Classifier/Classify", request={"text": "rain", "overlength_policy": "SHORTEN"})
    assert done.returncode != 0
    assert 'enum "undertone.v1.OverlengthPolicy" does not have value named "SHORTEN"' in done.stderr
