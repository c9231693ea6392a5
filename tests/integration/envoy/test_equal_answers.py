"""Requests over gRPC, over the sidecar's HTTP port and as JSON through Envoy have equal answers."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import numpy as np
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.http import HTTP_STATUSES

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.envoy import Envoy, request
from tests.integration.support.envoy_requests import JSON_BATCH, JSON_CLASSIFY, MODEL
from tests.integration.support.processes import Sidecar

CODES: Final[Mapping[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}

LONG: Final = "the rain had stopped and the door was open " * 20
"""More tokens than the model accepts."""

_POSITION: Final = re.compile("(byte|character) [0-9]+: ")


@dataclass(frozen=True, slots=True)
class Answer:
    """The code, and the message or the values without timings."""

    code: grpc.StatusCode
    message: str = ""
    values: Any = None


@dataclass(frozen=True, slots=True)
class Case:
    """A request in JSON and its headers. gRPC has a message and metadata instead."""

    path: str
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def classify(text: str, **fields: Any) -> Case:
    return Case(JSON_CLASSIFY, {"text": text, **fields})


def batch(*texts: str, **fields: Any) -> Case:
    return Case(JSON_BATCH, {"paragraphs": [{"text": text, "id": str(index)} for index, text in enumerate(texts)], **fields})


def with_headers(**headers: str) -> Case:
    return Case(JSON_CLASSIFY, {"text": "the rain"}, {name.replace("_", "-"): value for name, value in headers.items()})


POLICIES: Final = list(classifier_pb2.OverlengthPolicy.keys())

CASES: Final = {
    "paragraph": classify("the rain had stopped", id="a"),
    "paragraph without fields": Case(JSON_CLASSIFY),
    "other characters": classify('é\u0000 雨 😀 "\\', id="\u007f"),
    **{f"policy {name}": classify(LONG, overlengthPolicy=name) for name in POLICIES},
    "policy by number": classify(LONG, overlengthPolicy=3),
    "unknown policy": classify("the rain", overlengthPolicy=99),
    "white space": classify(" \n"),
    "characters": classify("r" * 40_000),
    "bytes": classify("雨" * 30_000),
    "id": classify("the rain", id="i" * 257),
    "batch": batch("the rain", "", LONG, "r" * 40_000),
    "batch that rejects": batch("the rain", LONG, overlengthPolicy="OVERLENGTH_POLICY_REJECT"),
    "empty batch": batch(),
    "paragraphs": batch(*["r"] * 257),
    "most paragraphs": batch(*["r"] * 256),
    "bytes of a batch": batch(*["r" * 30_000] * 40),
    "model": Case(MODEL),
    "online lane": with_headers(undertone_lane="online"),
    "batch lane": with_headers(undertone_lane="batch"),
    "unknown lane": with_headers(undertone_lane="fast"),
    "long deadline": with_headers(grpc_timeout="1M"),
}

METHODS: Final[Mapping[str, tuple[str, type[Message], type[Message]]]] = {
    JSON_CLASSIFY: ("Classify", classifier_pb2.ClassifyRequest, classifier_pb2.ClassifyResponse),
    JSON_BATCH: ("ClassifyBatch", classifier_pb2.ClassifyBatchRequest, classifier_pb2.ClassifyBatchResponse),
    MODEL: ("GetModel", classifier_pb2.GetModelRequest, classifier_pb2.GetModelResponse),
}


def seconds(timeout: str | None) -> float | None:
    return int(timeout[:-1]) * {"M": 60.0, "m": 1e-3, "n": 1e-9}[timeout[-1]] if timeout else None


def over_grpc(target: str, case: Case) -> Answer:
    name, request_type, response_type = METHODS[case.path]
    message = json_format.ParseDict(dict(case.body), request_type())
    metadata = dict(case.headers)
    timeout = seconds(metadata.pop("grpc-timeout", None))
    with grpc.insecure_channel(target) as channel:
        call = channel.unary_unary(
            f"/undertone.v1.Classifier/{name}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        try:
            response = call(message, timeout=timeout, metadata=tuple(metadata.items()))
        except grpc.RpcError as error:
            return Answer(error.code(), error.details() or "")
    values = json_format.MessageToDict(response, always_print_fields_with_no_presence=True)
    return Answer(grpc.StatusCode.OK, values=comparable(values))


def comparable(values: Any) -> Any:
    """Without timings, and with numbers of 32 bits, which JSON may have with more digits."""
    if isinstance(values, dict):
        return {key: comparable(value) for key, value in values.items() if key != "timings"}
    if isinstance(values, list):
        return [comparable(value) for value in values]
    return np.float32(values).item() if isinstance(values, float) else values


def over_json(port: int, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, Answer]:
    answer = request(port, method, path, body, **{name.replace("-", "_"): value for name, value in headers.items()})
    assert answer.headers["content-type"] == "application/json", answer
    if answer.status == 200:
        return 200, Answer(grpc.StatusCode.OK, values=comparable(answer.json))
    assert set(answer.json) == {"code", "message", "details"}, answer
    return answer.status, Answer(CODES[answer.json["code"]], _POSITION.sub("", answer.json["message"]))


def send(port: int, case: Case) -> Answer:
    if case.path == MODEL:
        status, answer = over_json(port, "GET", MODEL, None, case.headers)
    else:
        headers = {"content-type": "application/json", **case.headers}
        status, answer = over_json(port, "POST", case.path, json.dumps(case.body).encode(), headers)
    assert status == HTTP_STATUSES[answer.code]
    return answer


@pytest.fixture
def sidecar(fleet: Fleet, envoy: Envoy) -> Sidecar:
    """One of the fleet. All answer equally."""
    envoy.until_used(fleet.sidecars)
    return next(iter(fleet.sidecars.values()))


@pytest.mark.parametrize("name", CASES)
def test_answers_are_equal(name: str, sidecar: Sidecar, envoy: Envoy) -> None:
    expected = over_grpc(sidecar.target, CASES[name])
    assert send(sidecar.http_port, CASES[name]) == expected
    assert send(envoy.api, CASES[name]) == expected


@pytest.mark.parametrize("timeout", ["1n", "0m"])
def test_a_passed_deadline_has_the_same_code(timeout: str, sidecar: Sidecar, envoy: Envoy) -> None:
    """The messages say where it passed."""
    case = with_headers(grpc_timeout=timeout)
    assert over_grpc(sidecar.target, case).code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert send(sidecar.http_port, case).code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert send(envoy.api, case).code == grpc.StatusCode.DEADLINE_EXCEEDED


JSON: Final = "application/json"
BODY: Final = b'{"text": "the rain"}'


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type"),
    [
        ("POST", JSON_CLASSIFY, BODY, "application/json; charset=utf-8"),
        ("POST", JSON_CLASSIFY, BODY, "Application/JSON"),
        ("POST", JSON_CLASSIFY, b' {\r\n\t"text" : "\\u00e9\\ud83d\\ude00" , "id":null}\n', JSON),
        ("POST", JSON_CLASSIFY, b'{"overlength_policy": "OVERLENGTH_POLICY_TRUNCATE", "text": "rain"}', JSON),
        ("POST", JSON_CLASSIFY, b'{"overlengthPolicy": null, "text": "rain"}', JSON),
        ("POST", JSON_BATCH, b'{"paragraphs": null}', JSON),
        ("POST", JSON_CLASSIFY, b'{"txt": "rain"}', JSON),
        ("POST", JSON_CLASSIFY, b'{"text": "rain", "Id": "a"}', JSON),
        ("POST", JSON_CLASSIFY, b'{"text": "a", "text": "b"}', JSON),
        ("POST", JSON_CLASSIFY, b'{"overlengthPolicy": 1, "overlength_policy": 1}', JSON),
        ("POST", JSON_CLASSIFY, b'{"text": 7}', JSON),
        ("POST", JSON_CLASSIFY, b'{"text": true}', JSON),
        ("POST", JSON_CLASSIFY, b'{"text": ["rain"]}', JSON),
        ("POST", JSON_CLASSIFY, b'["rain"]', JSON),
        ("POST", JSON_CLASSIFY, b"null", JSON),
        ("POST", JSON_CLASSIFY, b"", JSON),
        ("POST", JSON_BATCH, b'{"paragraphs": [{"text": "a"}, {"txt": "rain"}]}', JSON),
        ("POST", JSON_BATCH, b'{"paragraphs": {"text": "rain"}}', JSON),
        ("POST", JSON_BATCH, b'{"paragraphs": ["rain"]}', JSON),
        ("POST", JSON_BATCH, b'{"paragraph": []}', JSON),
        ("POST", f"{JSON_CLASSIFY}?text=sun", BODY, JSON),
        ("GET", f"{MODEL}?colour=blue", None, ""),
        ("POST", JSON_CLASSIFY, BODY, "text/plain"),
        ("POST", JSON_CLASSIFY, BODY, "application/jsonl"),
        ("POST", JSON_CLASSIFY, b'{"text": "%s"}' % (b"r" * 4 * 2**20), JSON),
        ("GET", JSON_CLASSIFY, None, ""),
        ("PUT", JSON_CLASSIFY, BODY, JSON),
        ("DELETE", MODEL, None, ""),
        ("OPTIONS", JSON_BATCH, None, ""),
        ("POST", "/v1/paragraphs:translate", BODY, JSON),
        ("GET", "/v1", None, ""),
        ("GET", "/v1/model/", None, ""),
    ],
)
def test_requests_of_http_have_the_same_status_and_message(
    method: str, path: str, body: bytes | None, content_type: str, sidecar: Sidecar, envoy: Envoy
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert over_json(sidecar.http_port, method, path, body, headers) == over_json(envoy.api, method, path, body, headers)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"text": "rain"', {}),
        (b'{"text": "rain",}', {}),
        (b'{"text": "rain"} x', {}),
        (b"{'text': 'rain'}", {}),
        (b'{"text": "a\x00b"}', {}),
        (b'{"text": "a\\xb"}', {}),
        (b'{"text": "\\ud800"}', {}),
        (b'{"text": "\xff"}', {}),
        (b'\xef\xbb\xbf{"text": "rain"}', {}),
        ('{"text": "rain"}'.encode("utf-16"), {}),
        (b'{"text": NaN}', {}),
        (b"[" * 100_000, {}),
        (b'{"text": ' * 100_000, {}),
        (b'{"text": "rain", "overlengthPolicy": 1.5}', {}),
        (b'{"text": "rain", "overlengthPolicy": 1e0}', {}),
        (b'{"text": "rain", "overlengthPolicy": true}', {}),
        (b'{"text": "rain", "overlengthPolicy": "SHORTEN"}', {}),
        (b'{"text": "rain", "overlengthPolicy": "1"}', {}),
        (b'{"text": "rain", "overlengthPolicy": ""}', {}),
        (b'{"text": "rain", "overlengthPolicy": "overlength_policy_truncate"}', {}),
        (b'{"text": "rain", "overlengthPolicy": 99999999999}', {}),
        (b'{"text": "rain", "overlengthPolicy": -1}', {}),
        (b'{"text": "rain", "te\\u0078t": "rain"}', {}),
        (BODY, {"grpc-timeout": "5"}),
        (BODY, {"grpc-timeout": "123456789m"}),
        (BODY, {"grpc-timeout": ""}),
        (BODY, {"undertone-lane": ""}),
        (BODY, {"undertone-lane": "l" * 65}),
        (BODY, {"undertone-lane": "\xe9"}),
        (BODY, {"traceparent": "nonsense"}),
        (BODY, {"content-encoding": "gzip"}),
    ],
)
def test_unusual_requests_have_the_same_status_and_code(
    body: bytes, headers: Mapping[str, str], sidecar: Sidecar, envoy: Envoy
) -> None:
    """The messages differ."""
    sent = {"content-type": JSON, **headers}
    found, answer = over_json(sidecar.http_port, "POST", JSON_CLASSIFY, body, sent)
    expected, same = over_json(envoy.api, "POST", JSON_CLASSIFY, body, sent)
    assert (found, answer.code) == (expected, same.code), (answer, same)
