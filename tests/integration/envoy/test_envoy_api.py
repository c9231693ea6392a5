"""The public API through Envoy: gRPC and JSON have the same results and the same errors."""

import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import grpc
import pytest
from undertone_bench.processes import free_ports
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.testing import write_version

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.callers import Stub, ask, ask_batch
from tests.integration.support.envoy import Answer, Envoy, EnvoyLauncher, request
from tests.integration.support.http2 import Http2Connection, grpc_frame, grpc_headers
from tests.integration.support.processes import TIMEOUT_SECONDS, buf_curl

NO_SUCH_METHOD = "no such method: see the API reference, docs/reference/api.md"

LIMIT = 4 * 1024 * 1024


def post(envoy: Envoy, path: str, body: object, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request(envoy.api, "POST", path, data, Content_Type="application/json", **headers)


async def test_classify_in_json(envoy: Envoy, stub: Stub) -> None:
    expected = await ask(stub, "the rain had stopped")
    answer = post(envoy, "/v1/paragraphs:classify", {"text": "the rain had stopped", "id": "a"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert (answer.json["id"], answer.json["label"], answer.json["tokens"]) == ("a", expected.label, expected.tokens)
    assert answer.json["probabilities"] == pytest.approx(list(expected.probabilities), abs=1e-5)
    assert answer.json["model"] == {"name": "emotions", "version": "1", "precision": "fp32"}
    # Fields with default values are included.
    assert (answer.json["truncated"], answer.json["chunks"]) == (False, 1)


async def test_a_multi_label_model_in_json(launch_envoy: EnvoyLauncher, tmp_path: Path) -> None:
    thresholds = {"joy": 0.5, "fear": 0.25, "none": 0.999}
    base = tmp_path / "emotions"
    write_version(base, 1, labels=tuple(thresholds), thresholds=tuple(thresholds.values()))
    model_server = launch_envoy.fake_model_server(base.name, "--labels=3", "--multi-label")
    (port,) = free_ports(1)
    launch_envoy.sidecar(base, model_server.target, f"--port={port}", "--chunk-overlap=8").until_serving()
    envoy = launch_envoy.envoy([port])
    envoy.until_used([port])
    answer = post(envoy, "/v1/paragraphs:classify", {"text": "rain"}).json
    above = [label for label, value in zip(thresholds, answer["probabilities"], strict=True) if value >= thresholds[label]]
    assert (answer["problemType"], answer["labelsAboveThreshold"]) == ("PROBLEM_TYPE_MULTI_LABEL", above)
    batch = post(envoy, "/v1/paragraphs:classifyBatch", {"paragraphs": [{"text": "rain"}]}).json
    assert batch["problemType"] == "PROBLEM_TYPE_MULTI_LABEL"
    assert [batch["labels"][index] for index in batch["results"][0]["classification"]["labelIndexesAboveThreshold"]] == above
    contract = request(envoy.api, "GET", "/v1/model").json["contract"]
    assert (contract["problemType"], contract["thresholds"]) == ("PROBLEM_TYPE_MULTI_LABEL", list(thresholds.values()))


async def test_a_batch_in_json_has_a_result_or_an_error_for_each_paragraph(envoy: Envoy, stub: Stub) -> None:
    texts = ["the rain", "", "the door was open"]
    expected = await ask_batch(stub, texts)
    answer = post(envoy, "/v1/paragraphs:classifyBatch", {"paragraphs": [{"text": text} for text in texts]})
    assert answer.status == 200
    first, refused, last = answer.json["results"]
    for found, result in ((first, expected.results[0]), (last, expected.results[2])):
        assert found["classification"]["labelIndex"] == result.classification.label_index
        assert found["classification"]["label"] == result.classification.label
        assert found["classification"]["probabilities"] == pytest.approx(list(result.classification.probabilities), abs=1e-5)
    assert (refused["error"]["code"], refused["error"]["message"]) == (3, expected.results[1].error.message)


async def test_get_model_in_json(envoy: Envoy, channel: grpc.aio.Channel) -> None:
    answer = request(envoy.api, "GET", "/v1/model")
    assert answer.status == 200
    assert answer.json["contract"]["name"] == "emotions"
    assert answer.json["limits"]["maxParagraphBytes"] == 65536


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "message"),
    [
        ("POST", "/v1/paragraphs:classify", b'{"text": " "}', 400, 3, "text is empty or white space only"),
        ("POST", "/v1/paragraphs:classify", b'{"text": "rain', 400, 3, "the string of text has no end"),
        ("POST", "/v1/paragraphs:classify", b'{"text": 7}', 400, 3, "text must be a string"),
        (
            "POST",
            "/v1/paragraphs:classify",
            b'{"text": "r", "overlengthPolicy": "SHORTEN"}',
            400,
            3,
            "overlength_policy: invalid value",
        ),
        ("POST", "/v1/paragraphs:classify", b'{"txt": "rain"}', 400, 3, "unknown"),
        ("POST", "/v1/paragraphs:classify?colour=blue", b'{"text": "rain"}', 400, 3, ""),
        ("POST", "/v1/paragraphs:classify", b"", 400, 3, "the body is empty"),
        ("POST", "/v1/paragraphs:classify", b'{"text": "%s"}' % (b"r" * 70_000), 400, 3, "the limit is 65536"),
        (
            "POST",
            "/v1/paragraphs:classify",
            b'{"text": "%s"}' % (b"r" * LIMIT),
            413,
            3,
            "larger than 4194304 bytes: send several",
        ),
        ("POST", "/v1/paragraphs:translate", b"{}", 404, 5, NO_SUCH_METHOD),
        ("GET", "/v1/paragraphs:classify", None, 405, 12, "send POST"),
        ("GET", "/", None, 404, 5, NO_SUCH_METHOD),
        ("GET", "/v1%2Fmodel", None, 400, 3, ""),
    ],
)
def test_invalid_json_requests_are_refused(
    envoy: Envoy, fleet: Fleet, method: str, path: str, body: bytes | None, status: int, code: int, message: str
) -> None:
    envoy.until_used(fleet.sidecars)
    answer = request(envoy.api, method, path, body, Content_Type="application/json")
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["code"] == code
    assert message in answer.json["message"]


@pytest.mark.parametrize(
    ("method", "body", "code", "message"),
    [
        ("undertone.v1.Classifier/Classify", b"\x0a\x01 ", "INVALID_ARGUMENT", "text is empty or white space only"),
        ("undertone.v1.Classifier/Classify", b"\x0a\xff", "INVALID_ARGUMENT", "cannot be decoded"),
        ("undertone.v1.Classifier/Classify", b"r" * LIMIT, "INVALID_ARGUMENT", "larger than 4194304 bytes"),
        ("undertone.v1.Classifier/Translate", b"", "UNIMPLEMENTED", NO_SUCH_METHOD),
        ("tensorflow.serving.PredictionService/Predict", b"", "UNIMPLEMENTED", NO_SUCH_METHOD),
    ],
)
async def test_invalid_grpc_requests_are_refused(
    channel: grpc.aio.Channel, method: str, body: bytes, code: str, message: str
) -> None:
    call: Any = channel.unary_unary(f"/{method}")
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call(body, timeout=TIMEOUT_SECONDS)
    assert (refusal.value.code().name, message in (refusal.value.details() or "")) == (code, True), refusal.value


@pytest.mark.parametrize("size", [2_700_000, 3_000_000, LIMIT - 100])
def test_requests_up_to_the_limit_reach_the_limits_of_the_sidecar(envoy: Envoy, fleet: Fleet, size: int) -> None:
    """gRPC's own limit would answer RESOURCE_EXHAUSTED, which clients retry."""
    envoy.until_used(fleet.sidecars)
    text = "r" * (size - 40)
    message = classifier_pb2.ClassifyBatchRequest(paragraphs=[classifier_pb2.Paragraph(text=text)]).SerializeToString()
    with Http2Connection(envoy.api) as connection:
        reply = connection.exchange(grpc_headers("/undertone.v1.Classifier/ClassifyBatch"), grpc_frame(message))
    assert (reply.grpc_status, "the limit is 1048576" in reply.grpc_message) == (3, True), reply
    answer = post(envoy, "/v1/paragraphs:classifyBatch", {"paragraphs": [{"text": text}]})
    assert (answer.status, answer.json["code"], "the limit is 1048576" in answer.json["message"]) == (400, 3, True), answer


def test_the_largest_batch_is_accepted_with_escaped_characters(envoy: Envoy, fleet: Fleet) -> None:
    envoy.until_used(fleet.sidecars)
    paragraphs = [{"text": "я" * 2047 + "ю", "id": "ы" * 256} for _ in range(256)]
    body = json.dumps({"paragraphs": paragraphs}).encode()
    assert 3_500_000 < len(body) < LIMIT
    answer = post(envoy, "/v1/paragraphs:classifyBatch", body)
    assert (answer.status, len(answer.json["results"])) == (200, 256), answer.body[:300]


def test_reflection_health_and_the_open_inference_protocol_pass_through(envoy: Envoy, fleet: Fleet) -> None:
    envoy.until_used(fleet.sidecars)

    url = f"http://{envoy.target}"
    assert "undertone.v1.Classifier" in buf_curl("--list-services", url).stdout.split()
    health = buf_curl(f"{url}/grpc.health.v1.Health/Check", request={"service": "undertone.v1.Classifier"})
    assert json.loads(health.stdout) == {"status": "SERVING"}
    answer = json.loads(buf_curl(f"{url}/undertone.v1.Classifier/Classify", request={"text": "the rain"}).stdout)
    assert answer["label"] in answer["labels"]
    text = {"name": "text", "datatype": "BYTES", "shape": [1], "contents": {"bytesContents": [b64encode(b"the rain").decode()]}}
    inference = {"modelName": "emotions", "inputs": [text], "outputs": [{"name": "label"}]}
    done = buf_curl(f"{url}/inference.GRPCInferenceService/ModelInfer", request=inference)
    assert b64decode(json.loads(done.stdout)["outputs"][0]["contents"]["bytesContents"][0]).decode() == answer["label"]


async def test_calls_over_the_rate_limit_are_refused_with_retry_after(launch_envoy: EnvoyLauncher, fleet: Fleet) -> None:
    limit = {"callsPerSecond": 1, "burst": 2}
    envoy = launch_envoy.envoy(fleet.sidecars, rateLimit=limit)
    envoy.until_used(fleet.sidecars)
    answers = [post(envoy, "/v1/paragraphs:classify", {"text": "the rain"}) for _ in range(20)]
    refused = [answer for answer in answers if answer.status != 200]
    assert refused
    assert {(answer.status, answer.json["code"], answer.headers["retry-after"]) for answer in refused} == {(429, 8, "1")}
