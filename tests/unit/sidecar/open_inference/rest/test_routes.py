"""The paths under /v2 over a real socket."""

import asyncio
import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.health import Health
from undertone_sidecar.http import application
from undertone_sidecar.open_inference.raw_bytes import pack, unpack
from undertone_sidecar.open_inference.rest import open_inference_routes
from undertone_sidecar.request_limits import RequestLimits
from undertone_sidecar.testing import LABELS, Pod, running_pod

INFER = "/v2/models/emotions/infer"
TEXTS = ["rain", "the door was open", "home at last ☂"]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def request(pod: Pod, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    def send() -> Answer:
        connection = HTTPConnection("localhost", pod.sidecar.http_port)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    return await asyncio.to_thread(send)


def infer_body(texts: list[str], **fields: Any) -> bytes:
    return json.dumps(
        {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": texts}]} | fields
    ).encode()


async def test_json_and_binary_answers_equal_those_of_classify_batch(base: Path) -> None:
    async with running_pod(base, http_port=0) as pod:
        paragraphs = [classifier_pb2.Paragraph(text=text) for text in TEXTS]
        expected = await pod.stub.ClassifyBatch(classifier_pb2.ClassifyBatchRequest(paragraphs=paragraphs))
        scored = [result.classification for result in expected.results]
        flat = [probability for classification in scored for probability in classification.probabilities]

        answer = await request(pod, "POST", INFER, infer_body(TEXTS, id="7"))
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert {name: value for name, value in answer.json.items() if name != "outputs"} == {
            "model_name": "emotions",
            "model_version": "1",
            "id": "7",
        }
        outputs = {output["name"]: output for output in answer.json["outputs"]}
        assert outputs["probabilities"]["shape"] == [3, len(LABELS)]
        assert outputs["probabilities"]["data"] == pytest.approx(flat, abs=1e-6)
        assert outputs["label"] == {
            "name": "label",
            "datatype": "BYTES",
            "shape": [3],
            "data": [classification.label for classification in scored],
        }
        assert outputs["truncated"]["data"] == [False] * 3
        assert outputs["tokens"]["data"] == [classification.tokens for classification in scored]

        packed = pack([text.encode() for text in TEXTS])
        tensor = {"name": "text", "datatype": "BYTES", "shape": [3, 1], "parameters": {"binary_data_size": len(packed)}}
        wanted = [{"name": "label"}, {"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "chunks"}]
        head = json.dumps({"inputs": [tensor], "outputs": wanted}).encode()
        path = "/v2/models/emotions/versions/1/infer"
        answer = await request(pod, "POST", path, head + packed, inference_header_content_length=str(len(head)))
        assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
        size = int(answer.headers["inference-header-content-length"])
        label, probabilities, chunks = json.loads(answer.body[:size])["outputs"]
        assert (label["data"], chunks["data"]) == (outputs["label"]["data"], [1, 1, 1])
        assert probabilities["parameters"] == {"binary_data_size": len(answer.body) - size}
        assert np.frombuffer(answer.body[size:], "<f4").tolist() == pytest.approx(flat, abs=1e-6)

        answer = await request(pod, "POST", INFER, infer_body(TEXTS, parameters={"binary_data_output": True}))
        size = int(answer.headers["inference-header-content-length"])
        sizes = {t["name"]: t["parameters"]["binary_data_size"] for t in json.loads(answer.body[:size])["outputs"]}
        assert sum(sizes.values()) == len(answer.body) - size
        start = size + sizes["probabilities"]
        assert unpack(answer.body[start : start + sizes["label"]], 3, "label") == [label.encode() for label in label["data"]]


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)])
async def test_pages_of_other_origins_are_refused(base: Path, site: str, status: int) -> None:
    async with running_pod(base, http_port=0) as pod:
        assert (await request(pod, "POST", INFER, infer_body(TEXTS), sec_fetch_site=site)).status == status


async def test_errors_have_a_status_and_a_message(base: Path) -> None:
    async with running_pod(base, http_port=0, max_batch_paragraphs=4) as pod:
        for method, path, body, status, message in [
            ("POST", INFER, b"", 400, "the request is invalid: line 1"),
            ("POST", INFER, b"{", 400, "the request is invalid: line 1"),
            (
                "POST",
                INFER,
                b'{"inputs": [' + b"[]," * 10_000 + b"[]]}",
                400,
                "more than 320 elements: send several smaller requests",
            ),
            ("POST", INFER, infer_body(["rain"] * 5), 400, "the batch has 5 paragraphs; the limit is 4"),
            ("POST", INFER, infer_body(["rain", ""]), 400, "paragraph 1: text is empty"),
            ("POST", INFER, infer_body(["rain"], outputs=[{"name": "logits"}]), 400, "the output 'logits' does not exist"),
            ("POST", "/v2/models/sentiment/infer", infer_body(["rain"]), 404, "call the model 'emotions'"),
            ("POST", "/v2/models/emotions/versions/7/infer", infer_body(["rain"]), 404, "call version 1"),
            ("GET", "/v2/models/sentiment", b"", 404, "call the model 'emotions'"),
            ("GET", "/v2/models/emotions/versions/7/ready", b"", 404, "call version 1"),
            ("GET", "/v2/models/emotions/config", b"", 404, "this path does not exist"),
            ("POST", "/v2/repository/index", b"{}", 404, "this path does not exist"),
            ("GET", INFER, b"", 405, "the HTTP method GET is not supported: send POST"),
            ("POST", "/v2/models/emotions", b"", 405, "the HTTP method POST is not supported"),
        ]:
            answer = await request(pod, method, path, body)
            assert (answer.status, list(answer.json)) == (status, ["error"]), (method, path)
            assert message in answer.json["error"]
        for value, message in [("x", "is not a number of bytes"), ("-1", "is not a number"), ("9999", "by its header")]:
            answer = await request(pod, "POST", INFER, infer_body(["rain"]), inference_header_content_length=value)
            assert (answer.status, message in answer.json["error"]) == (400, True)
        late = await request(pod, "POST", INFER, infer_body(["rain"]), grpc_timeout="1n")
        assert late.status in {429, 504}
        assert "Deadline Exceeded" not in late.json["error"]


async def test_health_and_metadata(base: Path) -> None:
    async with running_pod(base, http_port=0) as pod:
        for path, content in [
            ("/v2/health/live", {"live": True}),
            ("/v2/health/ready", {"ready": True}),
            ("/v2/models/emotions/ready", {"name": "emotions", "ready": True}),
            ("/v2/models/emotions/versions/1/ready", {"name": "emotions", "ready": True}),
        ]:
            answer = await request(pod, "GET", path)
            assert (answer.status, answer.json) == (200, content)
        for path in ("/v2", "/v2/"):
            assert (await request(pod, "GET", path)).json["extensions"] == ["binary_tensor_data"]
        for path in ("/v2/models/emotions", "/v2/models/emotions/versions/1"):
            metadata = (await request(pod, "GET", path)).json
            assert metadata["inputs"][0] == {"name": "text", "datatype": "BYTES", "shape": [-1]}
            assert metadata["outputs"][0] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(LABELS)]}


async def test_an_unexpected_error_is_answered_and_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    class BrokenCalls:
        async def unary(self, *_: object) -> None:
            raise RuntimeError(TEXTS[1])

    limits = RequestLimits(paragraph_bytes=100, paragraph_characters=100, batch_paragraphs=4, batch_bytes=100)
    # The path has no body.
    app = application(open_inference_routes(BrokenCalls(), None, Health(), limits))  # type: ignore[arg-type]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    path = "/v2/models/emotions"
    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"]) == {"error": "internal error: see the log of the sidecar"}
    assert [record.message.splitlines()[0] for record in caplog.records] == ["request failed with RuntimeError"]
    assert TEXTS[1] not in caplog.text


async def test_without_a_model_the_server_is_live_and_not_ready(base: Path) -> None:
    async with running_pod(base, ready=False, http_port=0) as pod:
        assert (await request(pod, "GET", "/v2/health/live")).status == 200
        for path in ("/v2/health/ready", "/v2/models/emotions/ready"):
            answer = await request(pod, "GET", path)
            assert (answer.status, answer.json["ready"]) == (503, False)
        answer = await request(pod, "POST", INFER, infer_body(["rain"]))
        assert (answer.status, "error" in answer.json, answer.headers["retry-after"]) == (503, True, "1")
