"""Clients of the Open Inference Protocol, from their packages, against a real pod."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from tests.integration.conftest import Pod
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS

ROOT = Path(__file__).parents[3]
TEXTS = ["the rain had stopped", "The door was open. " * 30, "home at last ☂"]


def client_python() -> str:
    """The interpreter in the environment of the clients. Skips the test without one."""
    python = ROOT / "build/inference-clients/bin/python"
    if not os.access(python, os.X_OK):
        pytest.skip("build/inference-clients does not exist: run .ci/inference-clients")
    return str(python)


def run(script: str, *arguments: str) -> Any:
    """The output of a script in the environment of the clients."""
    program = [client_python(), str(Path(__file__).parent / script), *arguments]
    done = subprocess.run(
        program, check=False, input=json.dumps(TEXTS), capture_output=True, text=True, env=ENVIRONMENT, timeout=TIMEOUT_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def expected(pod: Pod) -> classifier_pb2.ClassifyBatchResponse:
    with grpc.insecure_channel(pod.sidecar.target) as channel:
        paragraphs = [classifier_pb2.Paragraph(text=text) for text in TEXTS]
        response: classifier_pb2.ClassifyBatchResponse = classifier_pb2_grpc.ClassifierStub(channel).ClassifyBatch(
            classifier_pb2.ClassifyBatchRequest(paragraphs=paragraphs)
        )
        return response


def assert_equal(answer: dict[str, Any], results: Sequence[classifier_pb2.ClassifyBatchResult]) -> None:
    """Compares an answer with the results of ClassifyBatch for the same texts."""
    scored = [result.classification for result in results]
    for row, classification in zip(answer["probabilities"], scored, strict=True):
        assert row == pytest.approx(list(classification.probabilities), abs=1e-5)
    for name in ("label", "tokens", "truncated", "chunks"):
        if answer.get(name) is not None:
            assert answer[name] == [getattr(classification, name) for classification in scored], name


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_tritonclient(pod: Pod, expected: classifier_pb2.ClassifyBatchResponse, kind: str) -> None:
    port = pod.sidecar.http_port
    answers = run("triton_calls.py", kind, pod.sidecar.target if kind == "grpc" else f"localhost:{port}")
    assert (answers["live"], answers["ready"], answers["model_ready"]) == (True, True, [True, True])
    assert answers["server"]["name"] == "undertone"
    assert [tensor["name"] for tensor in answers["model"]["inputs"]] == ["text", "id"]
    assert answers["labels"] == list(expected.labels)
    assert_equal(answers["batch"], expected.results)
    for alone, result in zip(answers["alone"], expected.results, strict=True):
        assert_equal(alone, [result])
    column = answers["column"]
    assert_equal(column, expected.results)
    assert (column["label"] is not None, column["tokens"]) == (True, None), "only requested outputs are returned"
    assert answers["truncated"]["truncated"] == [False, True, False]
    if kind == "http":
        assert_equal(answers["later"], expected.results)

    statuses = {
        "INVALID": "StatusCode.INVALID_ARGUMENT",
        "MISSING": "StatusCode.NOT_FOUND",
        "UNKNOWN": "StatusCode.UNIMPLEMENTED",
    }
    if kind == "http":
        statuses = {"INVALID": "400", "MISSING": "404", "UNKNOWN": "404"}
    errors = {name: (error["status"], error["message"]) for name, error in answers["errors"].items()}
    for name, status, message in [
        ("model", "MISSING", "the model 'sentiment' is not served: call the model 'emotions'"),
        ("version", "MISSING", "version '7' of the model 'emotions' is not served: call version 1"),
        ("paragraph", "INVALID", "paragraph 3: text is empty or white space only"),
        ("output", "INVALID", "the output 'logits' does not exist: request some of probabilities"),
        ("classes", "INVALID", "the parameter 'classification' of the output 'probabilities' is not supported"),
        ("priority", "INVALID", "the parameter 'priority' of the request is not supported"),
        ("config", "UNKNOWN", ""),
    ]:
        assert errors[name][0] == statuses[status], (name, errors[name])
        assert message in errors[name][1], name


def test_mlserver(pod: Pod, expected: classifier_pb2.ClassifyBatchResponse) -> None:
    answers = run("mlserver_types.py", pod.sidecar.target, f"http://localhost:{pod.sidecar.http_port}")
    assert answers["server"] == "undertone"
    assert answers["inputs"] == [["text", "BYTES", [-1]], ["id", "BYTES", [-1]]]
    for form in ("rest", "grpc"):
        answer = answers[form]
        assert answer["model"] == ["emotions", "1", "7"]
        assert answer["shape"] == [len(TEXTS), len(expected.labels)]
        assert answer["label"] == [result.classification.label for result in expected.results]
        flat = [probability for result in expected.results for probability in result.classification.probabilities]
        assert answer["probabilities"] == pytest.approx(flat, abs=1e-5)
