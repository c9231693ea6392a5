"""The client against a fake service on a socket."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from undertone_client import (
    AccessDeniedError,
    CallCounts,
    CallState,
    Client,
    DeadlineExceededError,
    Failure,
    InvalidParagraphError,
    LimitSettings,
    Mode,
    NotUndertoneError,
    OverloadedError,
    Paragraph,
    Policy,
    ProblemType,
    Reply,
    Request,
    RetryPolicy,
    Score,
    ServiceFaultError,
    Settings,
    SettingsError,
    UnavailableError,
)
from undertone_client.jobs.exits import command_error
from undertone_client.testing import (
    EMOTIONS,
    FakeClassifier,
    Fault,
    ItemFault,
    expected_independent_probabilities,
    expected_probabilities,
)
from undertone_protos.v1 import classifier_pb2 as pb

from tests.unit.support.faults import EXHAUSTED, NO_PATIENCE, UNAVAILABLE, no_sleep


@pytest.fixture
async def client(service: FakeClassifier) -> AsyncIterator[Client]:
    async with Client(service.target, sleep=no_sleep) as opened:
        yield opened


async def test_classify_returns_the_emotions_of_a_paragraph(client: Client) -> None:
    score = await client.classify(Paragraph("The letter came too late.", "1"))
    assert score.labels == EMOTIONS
    assert score.probabilities == pytest.approx(expected_probabilities("The letter came too late."), abs=1e-6)
    assert score.distribution[score.label] == max(score.probabilities)
    assert (score.paragraph.id, score.tokens, score.chunks, score.truncated) == ("1", 7, 1, False)
    assert str(score.model) == "fake version 1 fp32"


async def test_scores_of_a_multi_label_model_have_labels_above_their_threshold() -> None:
    thresholds = tuple(index / 10 for index in range(len(EMOTIONS)))
    async with FakeClassifier(thresholds=thresholds) as service, Client(service.target) as client:
        score = await client.classify("Dear reader")
        assert await client.classify_batch(["Dear reader"]) == [score]
        served = await client.model()
    assert score.probabilities == expected_independent_probabilities("Dear reader")
    above = [value >= threshold for value, threshold in zip(score.probabilities, thresholds, strict=True)]
    assert 0 < sum(above) < len(EMOTIONS)
    assert score.labels_above_threshold == tuple(label for label, own in zip(EMOTIONS, above, strict=True) if own)
    assert (served.problem_type, served.thresholds) == (ProblemType.MULTI_LABEL, thresholds)


def test_the_fake_process_is_multi_label_with_a_threshold() -> None:
    async def classify(port: str) -> Score:
        async with Client(f"127.0.0.1:{port}") as client:
            return await client.classify("Dear reader")

    command = [sys.executable, "-m", "undertone_client.testing", "--threshold=0.5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        score = asyncio.run(classify(process.stdout.readline().strip()))
        process.terminate()
    assert score.labels_above_threshold == tuple(label for label, value in score.distribution.items() if value >= 0.5)
    assert score.problem_type is ProblemType.MULTI_LABEL


@pytest.mark.parametrize(("policy", "chunks", "truncated"), [(Policy.TRUNCATE, 1, True), (Policy.CHUNK_MAX, 3, False)])
async def test_the_policy_reaches_the_service(client: Client, policy: Policy, chunks: int, truncated: bool) -> None:
    text = "word " * 1100
    score = await client.classify(text, policy=policy)
    [batched] = await client.classify_batch([text], policy=policy)
    assert isinstance(batched, Score)
    assert (score.chunks, score.truncated) == (batched.chunks, batched.truncated) == (chunks, truncated)


async def test_an_unknown_policy_is_named(client: Client) -> None:
    unknown: Any = "cut"
    named = pytest.raises(SettingsError, match="policy is 'cut'; use one of 'truncate', 'chunk-mean', 'chunk-max', 'reject'")
    with named:
        await client.classify("the rain", policy=unknown)
    with named:
        await client.classify_batch(["the rain"], policy=unknown)
    with named:
        [outcome async for outcome in client.score(["the rain"], policy=unknown)]


async def test_the_policy_reject_fails_a_long_paragraph(client: Client) -> None:
    with pytest.raises(InvalidParagraphError, match="1102 tokens"):
        await client.classify("word " * 1100, policy=Policy.REJECT)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidParagraphError),
        (EXHAUSTED, OverloadedError),
        (UNAVAILABLE, UnavailableError),
        (grpc.StatusCode.PERMISSION_DENIED, AccessDeniedError),
        (grpc.StatusCode.UNIMPLEMENTED, NotUndertoneError),
        (grpc.StatusCode.INTERNAL, ServiceFaultError),
        (grpc.StatusCode.DATA_LOSS, ServiceFaultError),
    ],
)
async def test_each_status_raises_its_exception(
    service: FakeClassifier, client: Client, status: grpc.StatusCode, kind: type[Exception]
) -> None:
    service.faults.extend([Fault(status)] * 5)
    with pytest.raises(kind, match=f"{status.name}: scripted"):
        await client.classify("text")


async def test_a_retry_waits_at_least_for_the_pushback(service: FakeClassifier) -> None:
    waits: list[float] = []

    async def record(seconds: float) -> None:
        waits.append(seconds)

    service.faults.extend([Fault(EXHAUSTED, pushback_ms=1500), Fault(UNAVAILABLE)])
    async with Client(service.target, sleep=record, random=lambda: 0.5) as client:
        assert (await client.classify("text")).tokens == 3
    assert waits == [pytest.approx(1.6), pytest.approx(0.2)]
    assert len(service.calls) == 3


async def test_negative_pushback_prevents_a_retry(service: FakeClassifier, client: Client) -> None:
    service.faults.append(Fault(EXHAUSTED, pushback_ms=-1))
    with pytest.raises(OverloadedError):
        await client.classify("text")
    assert len(service.calls) == 1


async def test_a_bad_paragraph_does_not_fail_the_rest_of_its_batch(client: Client) -> None:
    first, second, third = await client.classify_batch(["one", " ", "three"])
    assert isinstance(first, Score)
    assert isinstance(third, Score)
    assert isinstance(second, Failure)
    assert (second.status, second.reason, second.attempts) == (grpc.StatusCode.INVALID_ARGUMENT, "the text is empty", 1)
    assert isinstance(second.error(), InvalidParagraphError)


async def test_only_refused_paragraphs_are_sent_again(service: FakeClassifier, client: Client) -> None:
    service.item_faults = {"two": ItemFault(EXHAUSTED, times=2), "four": ItemFault(UNAVAILABLE, times=1)}
    outcomes = await client.classify_batch(["one", "two", "three", "four", ""])
    assert [isinstance(outcome, Score) for outcome in outcomes] == [True, True, True, True, False]
    assert [call.texts for call in service.calls] == [("one", "two", "three", "four", ""), ("two", "four"), ("two",)]


async def test_paragraphs_that_are_always_refused_fail_with_their_own_reason(service: FakeClassifier) -> None:
    service.item_faults = {"two": ItemFault(EXHAUSTED, "queue full"), "three": ItemFault(UNAVAILABLE, "no model")}
    async with Client(service.target, settings=NO_PATIENCE, sleep=no_sleep) as client:
        outcomes = await client.classify_batch(["one", "two", "three"])
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert [(failure.reason, failure.attempts) for failure in failures] == [("queue full", 5), ("no model", 5)]


async def test_the_pushback_of_a_batch_delays_its_refused_paragraphs(service: FakeClassifier) -> None:
    waits: list[float] = []

    async def record(seconds: float) -> None:
        waits.append(seconds)

    service.item_faults = {"two": ItemFault(EXHAUSTED, times=1, pushback_ms=3000)}
    async with Client(service.target, sleep=record, random=lambda: 0.0) as client:
        await client.classify_batch(["one", "two"])
    assert waits == [3.0]


async def test_a_failed_batch_fails_each_of_its_paragraphs(service: FakeClassifier, client: Client) -> None:
    service.faults.append(Fault(grpc.StatusCode.DATA_LOSS, "broken"))
    outcomes = await client.classify_batch(["one", "two"])
    assert [outcome.reason for outcome in outcomes if isinstance(outcome, Failure)] == ["broken", "broken"]


async def test_a_batch_that_fails_on_a_retry_keeps_its_earlier_scores(service: FakeClassifier) -> None:
    async def break_it(seconds: float) -> None:
        service.faults.append(Fault(grpc.StatusCode.DATA_LOSS, "broken"))

    service.item_faults = {"two": ItemFault(EXHAUSTED)}
    async with Client(service.target, sleep=break_it) as client:
        one, two = await client.classify_batch(["one", "two"])
    assert isinstance(one, Score)
    assert isinstance(two, Failure)
    assert (two.reason, two.attempts) == ("broken", 2)


async def test_an_empty_batch_makes_no_call(service: FakeClassifier, client: Client) -> None:
    assert await client.classify_batch([]) == []
    assert service.calls == []


async def test_every_attempt_has_a_deadline(service: FakeClassifier) -> None:
    async with Client(service.target, settings=Settings(timeout_seconds=20)) as client:
        await client.classify("text")
    [call] = service.calls
    assert call.seconds_left is not None
    assert 0 < call.seconds_left < 21  # gRPC rounds up on its way


async def test_batches_use_the_batch_lane_unless_the_mode_is_online(service: FakeClassifier, client: Client) -> None:
    await client.classify("online")
    await client.classify_batch(["one", "two"])
    assert [(call.method, call.lane) for call in service.calls] == [("Classify", "online"), ("ClassifyBatch", "batch")]
    async with Client(service.target, settings=Settings(mode=Mode.ONLINE)) as online_client:
        await online_client.classify_batch(["three", "four"])
    assert service.calls[-1].lane == "online"


async def test_deadline_exceeded_is_final_for_an_online_call(service: FakeClassifier) -> None:
    service.gate.clear()
    async with Client(service.target, settings=Settings(timeout_seconds=0.05)) as client:
        with pytest.raises(DeadlineExceededError) as late:
            await client.classify("text")
    assert len(service.calls) == 1
    explained = str(command_error(late.value, "localhost:50051"))
    assert "no answer within the deadline of the attempt). Set a longer --timeout" in explained


async def test_model_returns_the_model_and_the_limits(client: Client) -> None:
    served = await client.model()
    assert (served.model.name, served.labels, served.max_tokens) == ("fake", EMOTIONS, 512)
    assert served.limits.max_batch_paragraphs == 256


async def test_score_respects_the_limits_of_the_service(service: FakeClassifier, client: Client) -> None:
    service.limits.max_batch_paragraphs = 5
    outcomes = [outcome async for outcome in client.score(f"paragraph {index}" for index in range(33))]
    assert [outcome.paragraph.text for outcome in outcomes] == [f"paragraph {index}" for index in range(33)]
    assert all(isinstance(outcome, Score) for outcome in outcomes)
    assert max(len(call.texts) for call in service.calls) == 5
    assert FakeClassifier().limits.max_batch_paragraphs == 256  # limits are not shared


async def test_score_keeps_as_many_calls_in_flight_as_the_limit(service: FakeClassifier) -> None:
    service.gate.clear()
    async with Client(service.target, settings=Settings(batch_items=2, limit=LimitSettings.fixed(3))) as client:
        stream = client.score(f"paragraph {index}" for index in range(20))
        first = asyncio.create_task(anext(stream))
        await service.until_in_flight(3)
        service.gate.set()
        await first
        assert len([outcome async for outcome in stream]) == 19
    assert service.most_in_flight == 3


async def test_score_reads_nothing_while_the_service_is_unavailable(service: FakeClassifier) -> None:
    await service.stop()
    source = iter(["one"])
    async with Client(service.target, settings=NO_PATIENCE, sleep=no_sleep) as client:
        with pytest.raises(UnavailableError):
            await anext(client.score(source))
    assert next(source) == "one"


async def test_score_rejects_a_single_string(client: Client) -> None:
    with pytest.raises(TypeError, match="classify"):
        await anext(client.score("text"))


async def test_a_call_succeeds_after_the_service_has_returned(service: FakeClassifier) -> None:
    settings = Settings(mode=Mode.BATCH, retry=RetryPolicy(initial_seconds=0.02, max_seconds=0.02))
    async with Client(service.target, settings=settings) as client:
        await client.classify("before")
        await service.stop()
        waiting = asyncio.create_task(client.classify("after"))
        await asyncio.sleep(0)
        async with service:
            assert (await waiting).tokens == 3


async def test_a_transport_replaces_grpc_below_all_layers() -> None:
    class Flaky:
        def __init__(self) -> None:
            self.requests: list[Request] = []

        async def send(self, request: Request, call: CallState) -> Reply:
            self.requests.append(request)
            if len(self.requests) == 1:
                raise UnavailableError(UNAVAILABLE, "down")
            return Reply(pb.ClassifyResponse(label="joy", labels=["joy"], probabilities=[1.0]))

    transport = Flaky()
    async with Client(transport=transport, sleep=no_sleep) as client:
        assert (await client.classify("text")).label == "joy"
        assert client.state().counts == CallCounts({"UNAVAILABLE": 1, "OK": 1}, retried=1, recovered=1)
    assert [request.method for request in transport.requests] == ["Classify", "Classify"]


def test_a_closed_client_raises_an_error() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(Client().classify("text"))
