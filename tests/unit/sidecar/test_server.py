"""The gRPC API over a real socket."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf import json_format
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from undertone_protos.v1 import classifier_pb2, contract_pb2
from undertone_sidecar.scoring import ATTEMPT_TIMEOUT, HEALTH_CHECK_FAIL, attempt_seconds
from undertone_sidecar.testing import LABELS, Pod, running_pod

SENTENCE = "The rain had stopped, and she laughed at last. "
RARE = "zyzzyva"


@pytest.fixture
async def pod(base: Path) -> AsyncIterator[Pod]:
    async with running_pod(
        base,
        max_paragraph_bytes=600,
        max_paragraph_characters=500,
        max_batch_paragraphs=4,
        max_batch_bytes=1200,
        max_paragraph_chunks=8,
        max_queue=64,
        deadline_margin_seconds=0.0,
    ) as started:
        yield started


def batch(*texts: str, policy: int = 0) -> classifier_pb2.ClassifyBatchRequest:
    paragraphs = [classifier_pb2.Paragraph(text=text, id=str(number)) for number, text in enumerate(texts)]
    return classifier_pb2.ClassifyBatchRequest(paragraphs=paragraphs, overlength_policy=policy)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["TRUNCATE", "CHUNK_MEAN", "CHUNK_MAX", "REJECT"])
def test_policies_have_a_short_name_and_are_printed_with_the_long_one(policy: str) -> None:
    request = json_format.ParseDict({"text": "rain", "overlengthPolicy": policy}, classifier_pb2.ClassifyRequest())
    assert json_format.MessageToDict(request)["overlengthPolicy"] == f"OVERLENGTH_POLICY_{policy}"


async def test_classify_returns_probabilities_model_and_timings(pod: Pod) -> None:
    response = await pod.stub.Classify(classifier_pb2.ClassifyRequest(text=SENTENCE, id="p1"))
    assert response.id == "p1"
    assert tuple(response.labels) == LABELS
    assert response.label == LABELS[max(range(9), key=response.probabilities.__getitem__)]
    assert sum(response.probabilities) == pytest.approx(1, abs=1e-5)
    assert response.problem_type == contract_pb2.PROBLEM_TYPE_SINGLE_LABEL
    assert not response.labels_above_threshold
    assert (response.tokens, response.chunks, response.truncated) == (13, 1, False)
    assert (response.model.name, response.model.version, response.model.precision) == ("emotions", 1, "fp32")
    timings = response.timings
    assert 0 < timings.predict_seconds <= timings.total_seconds
    assert timings.tokenize_seconds > 0


async def test_a_batch_has_results_in_order_and_an_error_for_each_bad_paragraph(pod: Pod) -> None:
    response = await pod.stub.ClassifyBatch(batch("rain", " \n", SENTENCE * 8, "home"))
    assert [result.id for result in response.results] == ["0", "1", "2", "3"]
    assert [result.error.code for result in response.results] == [0, grpc.StatusCode.INVALID_ARGUMENT.value[0], 0, 0]
    assert response.results[2].classification.chunks > 1
    alone = await pod.stub.Classify(classifier_pb2.ClassifyRequest(text=SENTENCE * 8))
    together = response.results[2].classification
    assert response.problem_type == contract_pb2.PROBLEM_TYPE_SINGLE_LABEL
    assert not together.label_indexes_above_threshold
    assert list(together.probabilities) == pytest.approx(list(alone.probabilities), abs=1e-5)
    assert response.labels[together.label_index] == together.label == alone.label


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (classifier_pb2.ClassifyRequest(), "empty"),
        (classifier_pb2.ClassifyRequest(text=" \t\n\u2003"), "white space only"),
        (classifier_pb2.ClassifyRequest(text="\u200b"), "no character that the model can read"),
        (classifier_pb2.ClassifyRequest(text=f"{RARE} " * 80), "640 characters; the limit is 500: split"),
        (classifier_pb2.ClassifyRequest(text=RARE + "漢" * 400), "1207 bytes in UTF-8; the limit is 600: split"),
        (
            classifier_pb2.ClassifyRequest(text="a " * 200),
            "200 tokens without special tokens, which are 9 chunks; the limit is 8 chunks, or 184 tokens: split it",
        ),
        (classifier_pb2.ClassifyRequest(text=RARE, overlength_policy=9), "overlength_policy 9 is unknown; send one of"),  # type: ignore[arg-type]
        (classifier_pb2.ClassifyRequest(text=RARE, id="i" * 257), "id has 257 characters; the limit is 256"),
        (
            classifier_pb2.ClassifyRequest(text=f"{RARE} " * 20, overlength_policy=classifier_pb2.OVERLENGTH_POLICY_REJECT),
            "140 tokens without special tokens, but the model accepts at most 30: shorten it",
        ),
    ],
)
async def test_a_bad_paragraph_is_refused_with_the_value_and_the_remedy(
    pod: Pod, request_: classifier_pb2.ClassifyRequest, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await pod.stub.Classify(request_)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    details = refusal.value.details()
    assert details is not None
    assert message in details
    assert RARE not in details + caplog.text


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (batch(), "no paragraphs"),
        (batch(*["rain"] * 5), "5 paragraphs; the limit is 4: send several smaller batches"),
        (batch(*["r" * 400] * 4), "1600 bytes in UTF-8; the limit is 1200"),
        (batch(*["漢" * 200] * 4), "2400 bytes in UTF-8; the limit is 1200"),
        (batch("rain", policy=-1), "overlength_policy -1 is unknown"),
    ],
)
async def test_a_bad_batch_is_refused_as_a_whole(pod: Pod, request_: classifier_pb2.ClassifyBatchRequest, message: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await pod.stub.ClassifyBatch(request_)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert message in (refusal.value.details() or "")


async def test_undecodable_bytes_are_an_invalid_argument(pod: Pod, caplog: pytest.LogCaptureFixture) -> None:
    classify: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    classify = pod.channel.unary_unary("/undertone.v1.Classifier/Classify")
    for data in (b"\x0a\x02\xff\xfe", b"\x0a\xff"):  # Text that is not UTF-8, and a truncated field.
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await classify(data)
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "cannot be decoded" in (refusal.value.details() or "")
    assert caplog.text.count("Traceback") == 0


@pytest.mark.parametrize(
    "method", ["/grpc.health.v1.Health/Watch", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]
)
async def test_undecodable_messages_of_streams_are_an_invalid_argument(
    pod: Pod, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    stream: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = pod.channel.stream_stream(method)
    for data in (b"\x0a\x02\xff\xfe", b"\x0a\xff", b"a" * 40_000):
        call = stream(iter([data]))
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Traceback" not in caplog.text
    await pod.wait_health(serving=True)


@pytest.mark.parametrize(
    ("server_code", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.DEADLINE_EXCEEDED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL),
        (grpc.StatusCode.INTERNAL, grpc.StatusCode.INTERNAL),
    ],
)
async def test_status_codes_of_the_model_server_are_mapped(
    pod: Pod, server_code: grpc.StatusCode, expected: grpc.StatusCode
) -> None:
    pod.serving.fails = lambda _: server_code
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain"))
    assert failure.value.code() is expected
    assert "as the test asked" not in (failure.value.details() or "")
    trailer = dict(failure.value.trailing_metadata() or ())
    assert ("grpc-retry-pushback-ms" in trailer) == (
        expected in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
    )
    # Envoy stops calling a pod without a model server, and no other pod.
    assert (HEALTH_CHECK_FAIL in trailer) == (expected is grpc.StatusCode.UNAVAILABLE)


async def test_an_invalid_response_of_the_model_server_is_an_internal_error(pod: Pod) -> None:
    pod.serving.changes = lambda scores: scores * float("nan")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain"))
    assert failure.value.code() is grpc.StatusCode.INTERNAL
    assert failure.value.details() == "internal error: see the log of the sidecar"


async def test_a_full_queue_answers_with_retry_pushback(pod: Pod) -> None:
    pod.serving.hold()
    calls = [pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain")) for _ in range(80)]
    done, _ = await asyncio.wait([asyncio.ensure_future(_code(call)) for call in calls], return_when=asyncio.FIRST_COMPLETED)
    code, trailer = done.pop().result()
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert int(trailer["grpc-retry-pushback-ms"]) > 0
    pod.serving.release()
    codes = [(await _code(call))[0] for call in calls]
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    # One caller may have 7/8 of the 64 paragraphs in progress.
    assert codes.count(grpc.StatusCode.OK) >= 56


async def test_a_call_ends_when_the_attempt_of_envoy_would_time_out(pod: Pod) -> None:
    pod.serving.hold()
    request = classifier_pb2.ClassifyRequest(text="rain")
    call = pod.stub.Classify(request, timeout=3600, metadata=[("x-envoy-expected-rq-timeout-ms", "100")])
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "the deadline passed before the paragraph was scored" in (await call.details() or "")
    pod.serving.release()


@pytest.mark.parametrize(("value", "seconds"), [("10000", 9.0), ("", math.inf), ("1e9", math.inf), (b"10", math.inf)])
def test_a_tenth_of_the_attempt_of_envoy_is_left_for_the_reply(value: str | bytes, seconds: float) -> None:
    """Otherwise, Envoy has sent the call to another pod when the reply arrives."""
    assert attempt_seconds([("te", "trailers"), (ATTEMPT_TIMEOUT, value)]) == seconds


async def _code(
    call: "grpc.aio.UnaryUnaryCall[classifier_pb2.ClassifyRequest, classifier_pb2.ClassifyResponse]",
) -> tuple[grpc.StatusCode, dict[str, str]]:
    code = await call.code()
    return code, {key: str(value) for key, value in await call.trailing_metadata() or ()}


async def test_cancelled_calls_are_not_sent_to_the_model_server(pod: Pod) -> None:
    pod.serving.hold()
    first = pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain"))
    await pod.serving.hanging.wait()
    warm = len(pod.serving.shapes)
    cancelled = [pod.stub.Classify(classifier_pb2.ClassifyRequest(text="home door"), timeout=5) for _ in range(10)]
    await pod.wait_metric('grpc_server_started_total{grpc_method="Classify"', 11)
    for call in cancelled:
        call.cancel()
    await pod.wait_metric('grpc_code="CANCELLED"', 10)
    pod.serving.release()
    await first
    await pod.stub.Classify(classifier_pb2.ClassifyRequest(text="the rain"))
    assert pod.serving.shapes[warm:] == [(1, 16)]


async def test_metrics_count_calls_paragraphs_batches_and_tokens(pod: Pod) -> None:
    reply = await pod.stub.ClassifyBatch(batch("rain", " ", "home"))
    with pytest.raises(grpc.aio.AioRpcError):
        await pod.stub.Classify(classifier_pb2.ClassifyRequest())
    service = 'grpc_service="undertone.v1.Classifier",grpc_type="unary"'
    await pod.wait_metric(f'grpc_server_handled_total{{grpc_code="INVALID_ARGUMENT",grpc_method="Classify",{service}}}', 1)
    await pod.wait_metric(f'grpc_server_handled_total{{grpc_code="OK",grpc_method="ClassifyBatch",{service}}}', 1)
    await pod.wait_metric(f'grpc_server_handling_seconds_count{{grpc_method="ClassifyBatch",{service}}}', 1)
    await pod.wait_metric('undertone_paragraphs_total{code="OK"}', 2)
    await pod.wait_metric('undertone_paragraphs_total{code="INVALID_ARGUMENT"}', 2)
    await pod.wait_metric("undertone_batch_items_sum", 2)
    await pod.wait_metric("undertone_batch_tokens_sum", 32)
    await pod.wait_metric("undertone_queue_seconds_count", 2)
    labels = Counter(result.classification.label for result in reply.results if result.HasField("classification"))
    for label, count in labels.items():
        await pod.wait_metric(f'undertone_labels_total{{label="{label}",version="1"}}', count)
    await pod.wait_metric("undertone_ready", 1)
    await pod.wait_metric('undertone_model_info{name="emotions",precision="fp32",version="1"}', 1)
    await pod.wait_metric('undertone_tokens_total{kind="text"}', 6)
    await pod.wait_metric('undertone_tokens_total{kind="padding"}', 26)
    await pod.wait_metric("undertone_tokenize_seconds_count", 1)
    text = await pod.metrics()
    assert "undertone_batch_padding_ratio_bucket" in text
    assert 'grpc_client_handled_total{grpc_code="OK",grpc_method="Predict"' in text
    long = " ".join(["rain"] * 40)
    await pod.stub.Classify(
        classifier_pb2.ClassifyRequest(text=long, overlength_policy=classifier_pb2.OVERLENGTH_POLICY_TRUNCATE)
    )
    chunked = await pod.stub.Classify(classifier_pb2.ClassifyRequest(text=long))
    await pod.wait_metric("undertone_truncated_paragraphs_total", 1)
    await pod.wait_metric("undertone_chunked_paragraphs_total", 1)
    await pod.wait_metric("undertone_chunks_total", chunked.chunks)
    assert 'grpc_server_request_bytes_count{grpc_method="ClassifyBatch"' in text


async def test_the_metadata_selects_the_lane(pod: Pod) -> None:
    request = classifier_pb2.ClassifyRequest(text="rain")
    await pod.stub.Classify(request)
    await pod.stub.Classify(request, metadata=(("undertone-lane", "online"),))
    await pod.stub.ClassifyBatch(batch("rain", "home", "door"), metadata=(("undertone-lane", "batch"),))
    await pod.wait_metric('undertone_queue_seconds_count{lane="online"}', 2)
    await pod.wait_metric('undertone_queue_seconds_count{lane="batch"}', 3)
    await pod.wait_metric('undertone_batches_total{lane="batch",prefetched="false"}', 1)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await pod.stub.Classify(request, metadata=(("undertone-lane", "night"),))
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "undertone-lane is 'night'; send 'online' or 'batch'" in (refusal.value.details() or "")


async def test_a_full_batch_lane_does_not_affect_the_online_lane(base: Path) -> None:
    async with running_pod(base, max_queue_tokens=64) as pod:
        pod.serving.hold()
        first = pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain"))
        await pod.serving.hanging.wait()
        jobs = pod.stub.ClassifyBatch(batch(*["rain"] * 6), metadata=(("undertone-lane", "batch"),))
        await pod.wait_metric('undertone_shed_paragraphs_total{lane="batch",reason="queue_full"}', 2)
        online = pod.stub.Classify(classifier_pb2.ClassifyRequest(text="home"))
        await pod.wait_metric('grpc_server_started_total{grpc_method="Classify"', 2)
        pod.serving.release()
        assert await first.code() is await online.code() is grpc.StatusCode.OK
        codes = [result.error.code for result in (await jobs).results]
        assert codes == [0] * 4 + [grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]] * 2
        assert int(str(dict(await jobs.trailing_metadata() or ())["grpc-retry-pushback-ms"])) > 0


async def test_get_model_returns_the_contract_and_the_limits(pod: Pod) -> None:
    response = await pod.stub.GetModel(classifier_pb2.GetModelRequest())
    assert tuple(response.contract.labels) == LABELS
    assert response.contract.max_tokens == 32
    limits = response.limits
    assert (limits.max_paragraph_bytes, limits.max_paragraph_characters) == (600, 500)
    assert (limits.max_batch_paragraphs, limits.max_batch_bytes) == (4, 1200)


async def test_reflection_lists_the_services(pod: Pod) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(pod.channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    response = await anext(aiter(call))
    names = {service.name for service in response.list_services_response.service}
    assert {"undertone.v1.Classifier", "grpc.health.v1.Health"} <= names


async def test_callers_who_retry_at_once_are_slowed_down(pod: Pod) -> None:
    """Each refusal costs CPU time, which the model server lacks."""
    pod.serving.hold()
    waiting = [pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain")) for _ in range(80)]
    await asyncio.wait([asyncio.ensure_future(_code(call)) for call in waiting], return_when=asyncio.FIRST_COMPLETED)
    refusals, calls = 0, 6

    async def caller() -> None:
        nonlocal refusals
        for _ in range(calls):
            code, _ = await _code(pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain")))
            refusals += code is grpc.StatusCode.RESOURCE_EXHAUSTED

    started = time.monotonic()
    await asyncio.gather(*(caller() for _ in range(16)))
    # A bound on the rate, so a slow machine cannot fail it: 64 a second, and one burst.
    assert refusals == 16 * calls
    assert refusals <= 100 * (time.monotonic() - started)
    pod.serving.release()
    for call in waiting:
        await call.code()
