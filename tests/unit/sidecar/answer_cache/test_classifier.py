"""Answers of repeated texts."""

from functools import partial
from pathlib import Path

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.answers import StageSeconds
from undertone_sidecar.errors import OverloadedError
from undertone_sidecar.events import AnswersShared, CacheRead, Event
from undertone_sidecar.model import Model
from undertone_sidecar.testing import running_pod, write_version

from tests.unit.sidecar.answer_cache.support.classifiers import (
    LARGE,
    MEAN,
    TRUNCATE,
    FakeClassifier,
    FakeShared,
    ask,
    in_memory,
    values,
)

MemoryRead = partial(CacheRead, "memory")


async def test_only_unknown_texts_are_scored(models: list[Model]) -> None:
    scorer, events = FakeClassifier(models[0]), list[Event]()
    classifier = in_memory(scorer, listener=events.append)
    first = await ask(classifier, "a", "bb")
    second = await ask(classifier, "bb", "ccc", "a")
    assert scorer.texts == ["a", "bb", "ccc"]
    assert values(second) == pytest.approx([2.1, 3.1, 1.1])
    assert values(first) == pytest.approx([1.1, 2.1])
    third = await ask(classifier, "a")
    assert third.stages == StageSeconds(0.0, 0.0, 0.0)
    assert events == [MemoryRead(0, 2), MemoryRead(2, 1), MemoryRead(1, 0)]


async def test_another_policy_is_a_miss(models: list[Model]) -> None:
    scorer = FakeClassifier(models[0])
    classifier = in_memory(scorer)
    for policy in (MEAN, TRUNCATE, MEAN, TRUNCATE):
        await ask(classifier, "a", policy=policy)
    assert scorer.texts == ["a", "a"]


@pytest.mark.parametrize("other", [1, 2])
async def test_another_model_is_a_miss(models: list[Model], other: int) -> None:
    scorer = FakeClassifier(models[0])
    classifier = in_memory(scorer)
    await ask(classifier, "a")
    scorer.models = [models[other]]
    assert (await ask(classifier, "a")).model is models[other]
    assert scorer.texts == ["a", "a"]


async def test_a_call_during_a_change_of_the_version_has_answers_of_one(models: list[Model]) -> None:
    scorer, events = FakeClassifier(models[0]), list[Event]()
    classifier = in_memory(scorer, listener=events.append)
    await ask(classifier, "a")
    scorer.models = models[:2]
    answered = await ask(classifier, "a", "bb")
    assert answered.model is models[1]
    assert values(answered) == pytest.approx([1.2, 2.2])
    assert events == [MemoryRead(0, 1), MemoryRead(0, 2)]


async def test_a_full_queue_refuses_only_the_unknown_texts(models: list[Model]) -> None:
    scorer, events = FakeClassifier(models[0]), list[Event]()
    classifier = in_memory(scorer, listener=events.append)
    await ask(classifier, "a")
    scorer.full_for = None
    answered = await ask(classifier, "bb", "a", "ccc")
    assert values(answered) == [None, pytest.approx(1.1), None]
    assert isinstance(answered.outcomes[0], OverloadedError)
    with pytest.raises(OverloadedError):
        await ask(classifier, "bb", "ccc")
    assert events == [MemoryRead(0, 1), MemoryRead(1, 2), MemoryRead(0, 2)]


async def test_failures_are_not_kept(models: list[Model]) -> None:
    scorer = FakeClassifier(models[0])
    classifier = in_memory(scorer)
    scorer.failing = {"bb"}
    assert values(await ask(classifier, "a", "bb")) == [pytest.approx(1.1), None]
    scorer.failing = set()
    assert values(await ask(classifier, "a", "bb")) == pytest.approx([1.1, 2.1])
    assert scorer.texts == ["a", "bb", "bb"]


async def test_an_invalid_id_is_refused_although_the_text_is_known(models: list[Model]) -> None:
    scorer = FakeClassifier(models[0])
    classifier = in_memory(scorer)
    await ask(classifier, "a")
    await ask(classifier, "a", identifier="x" * 257)
    assert scorer.texts == ["a", "a"]


async def test_a_sidecar_answers_a_repeated_text_without_the_model_server(tmp_path: Path) -> None:
    write_version(tmp_path / "emotions", 1)
    request = classifier_pb2.ClassifyRequest(text="the rain had stopped", id="1")
    async with running_pod(tmp_path / "emotions", cache_bytes=LARGE) as pod:
        first = await pod.stub.Classify(request)
        calls = len(pod.serving.shapes)
        pod.serving.fails = lambda _: grpc.StatusCode.INTERNAL
        second = await pod.stub.Classify(request)
        assert len(pod.serving.shapes) == calls
        for reply in (first, second):
            reply.ClearField("timings")
        assert first == second
        await pod.wait_metric('undertone_cache_paragraphs_total{result="hit",tier="memory"}', 1)
        await pod.wait_metric('undertone_cache_paragraphs_total{result="miss",tier="memory"}', 1)
        await pod.wait_metric('undertone_paragraphs_total{code="OK"}', 2)


async def test_no_answers_are_kept_by_default(tmp_path: Path) -> None:
    write_version(tmp_path / "emotions", 1)
    async with running_pod(tmp_path / "emotions") as pod:
        warm = len(pod.serving.shapes)
        for _ in range(2):
            await pod.stub.Classify(classifier_pb2.ClassifyRequest(text="rain"))
        assert len(pod.serving.shapes) == warm + 2
        assert "undertone_cache_paragraphs_total{" not in await pod.metrics()


async def test_a_new_version_answers_the_known_texts_of_a_call_too(tmp_path: Path) -> None:
    """The labels differ, because a response must not mix two versions."""
    write_version(tmp_path / "emotions", 1)
    rain, snow = (classifier_pb2.Paragraph(text=text) for text in ("rain", "snow"))
    async with running_pod(tmp_path / "emotions", poll_seconds=60, cache_bytes=LARGE) as pod:
        first = await pod.stub.ClassifyBatch(classifier_pb2.ClassifyBatchRequest(paragraphs=[rain]))
        assert first.model.version == 1
        write_version(tmp_path / "emotions", 2, labels=("calm", "storm"))
        pod.serving.versions = {2}
        pod.serving.labels = 2
        for paragraphs in ([rain, snow], [rain]):
            reply = await pod.stub.ClassifyBatch(classifier_pb2.ClassifyBatchRequest(paragraphs=paragraphs))
            assert (reply.model.version, tuple(reply.labels)) == (2, ("calm", "storm"))
            assert [len(result.classification.probabilities) for result in reply.results] == [2] * len(paragraphs)
        await pod.wait_metric('undertone_cache_paragraphs_total{result="hit",tier="memory"}', 1)
        await pod.wait_metric('undertone_cache_paragraphs_total{result="miss",tier="memory"}', 3)


async def test_known_texts_follow_the_versions_of_the_model_server(tmp_path: Path) -> None:
    """Without any other text, which would make the sidecar look at once."""
    for version in (1, 2):
        write_version(tmp_path / "emotions", version)
    request = classifier_pb2.ClassifyRequest(text="rain")
    async with running_pod(tmp_path / "emotions", cache_bytes=LARGE) as pod:
        assert (await pod.stub.Classify(request)).model.version == 1
        pod.serving.versions = {2}
        while (await pod.stub.Classify(request)).model.version == 1:
            pass
        pod.serving.versions = set()
        code = grpc.StatusCode.OK
        while code is grpc.StatusCode.OK:
            call = pod.stub.Classify(request)
            code = await call.code()
        assert code is grpc.StatusCode.UNAVAILABLE


async def test_sidecars_answer_texts_of_each_other_from_shared_answers(models: list[Model]) -> None:
    shared, events = FakeShared(), list[Event]()
    first, second = FakeClassifier(models[0]), FakeClassifier(models[0])
    await ask(in_memory(first, shared=shared), "a", "bb")
    reader = in_memory(second, shared=shared, listener=events.append)
    for _ in range(2):
        assert values(await ask(reader, "bb", "ccc", "a")) == pytest.approx([2.1, 3.1, 1.1])
    assert second.texts == ["ccc"]
    assert shared.reads == [2, 3]
    assert events == [CacheRead("redis", 2, 1), MemoryRead(0, 3), MemoryRead(3, 0)]


@pytest.mark.parametrize("other", [1, 2])
async def test_shared_answers_of_another_contract_are_never_used(models: list[Model], other: int) -> None:
    shared = FakeShared()
    first, second = FakeClassifier(models[0]), FakeClassifier(models[other])
    await ask(in_memory(first, shared=shared), "a")
    await ask(in_memory(second, shared=shared), "a")
    await ask(in_memory(second, shared=shared), "a", policy=TRUNCATE)
    assert second.texts == ["a", "a"]


async def test_a_damaged_shared_answer_is_scored_again(models: list[Model]) -> None:
    shared, events = FakeShared(), list[Event]()
    await ask(in_memory(FakeClassifier(models[0]), shared=shared), "a")
    shared.values = {key: value[:-1] + b"\0\0" for key, value in shared.values.items()}
    scorer = FakeClassifier(models[0])
    assert values(await ask(in_memory(scorer, shared=shared, listener=events.append), "a")) == pytest.approx([1.1])
    assert scorer.texts == ["a"]
    assert events == [CacheRead("redis", 0, 0, errors=1), MemoryRead(0, 1)]


async def test_failed_reads_of_shared_answers_are_misses(models: list[Model]) -> None:
    shared, scorer, events = FakeShared(), FakeClassifier(models[0]), list[Event]()
    shared.fails = True
    assert values(await ask(in_memory(scorer, shared=shared, listener=events.append), "a", "a")) == pytest.approx([1.1, 1.1])
    assert events == [CacheRead("redis", 0, 0, errors=1), AnswersShared(1), MemoryRead(0, 2)]
