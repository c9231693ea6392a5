"""Answers of repeated texts."""

import math
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.answer_cache import AnswerCache, CachedClassifier
from undertone_sidecar.answers import Answer, Classified, Outcome, Paragraph, StageSeconds
from undertone_sidecar.batching import Lane
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.errors import OverloadedError
from undertone_sidecar.events import CacheRead, Event
from undertone_sidecar.model import Model, read_model
from undertone_sidecar.request_limits import RequestLimits
from undertone_sidecar.testing import running_pod, write_version

LIMITS = RequestLimits(paragraph_bytes=2000, paragraph_characters=1500, batch_paragraphs=50, batch_bytes=50_000)
MEAN, TRUNCATE = OverlengthPolicy.CHUNK_MEAN, OverlengthPolicy.TRUNCATE
LARGE = 1_000_000


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    """Two versions, and the first one with another precision."""
    base: Path = tmp_path_factory.mktemp("models") / "emotions"
    executor = ThreadPoolExecutor(1)
    first, second = (
        read_model(write_version(base, version), name="emotions", overlap=8, executor=executor) for version in (1, 2)
    )
    return [first, second, replace(first)]


def answer(value: float, labels: int = 9) -> Classified:
    return Classified(np.full(labels, value, dtype=np.float32), 5, truncated=False, chunks=1)


class FakeClassifier:
    """Answers each text with a number of its own, and records the texts."""

    def __init__(self, *models: Model) -> None:
        self.models = list(models)
        self.texts: list[str] = []
        self.failing: set[str] = set()
        self.full = False

    def model(self) -> Model:
        return self.models[0]

    async def classify(
        self, paragraphs: Sequence[Paragraph], policy: OverlengthPolicy, deadline: float, lane: Lane, caller: str
    ) -> Answer:
        if self.full:
            raise OverloadedError("full")
        if len(self.models) > 1:
            self.models.pop(0)
        outcomes: list[Outcome] = []
        for paragraph in paragraphs:
            self.texts.append(paragraph.text)
            failed = paragraph.text in self.failing
            value = len(paragraph.text) + self.model().version / 10
            outcomes.append(OverloadedError("full") if failed else answer(value))
        return Answer(self.model(), tuple(outcomes), StageSeconds(1.0, 1.0, 1.0))


async def ask(classifier: CachedClassifier, *texts: str, policy: OverlengthPolicy = MEAN, identifier: str = "") -> Answer:
    return await classifier.classify([Paragraph(text, identifier) for text in texts], policy, math.inf, Lane.ONLINE, "")


def values(answered: Answer) -> list[float | None]:
    outcomes = answered.outcomes
    return [float(each.probabilities[0]) if isinstance(each, Classified) else None for each in outcomes]


KEYS = st.tuples(st.integers(0, 2), st.sampled_from([MEAN, TRUNCATE]), st.sampled_from(["", "a", "b", "ab", "\0a"]))


@given(st.lists(st.tuples(st.booleans(), KEYS, st.integers(1, 40)), max_size=40), st.integers(0, 6000))
def test_an_answer_is_only_that_of_the_same_model_policy_and_text(
    models: list[Model], steps: list[tuple[bool, tuple[int, OverlengthPolicy, str], int]], max_bytes: int
) -> None:
    cache, stored = AnswerCache(max_bytes), dict[tuple[int, OverlengthPolicy, str], float]()
    for number, (is_put, key, labels) in enumerate(steps):
        model, policy, text = models[key[0]], key[1], key[2]
        if is_put:
            known = cache.get(model, text, policy) is not None
            cache.put(model, text, policy, answer(number, labels))
            if not known:
                stored[key] = number
        elif (found := cache.get(model, text, policy)) is not None:
            assert found.probabilities[0] == stored[key]
        assert cache.bytes <= max_bytes
        assert cache.bytes >= 0
        assert (len(cache) == 0) == (cache.bytes == 0)


def test_the_memory_of_the_cache_is_within_its_bound(models: list[Model]) -> None:
    cache = AnswerCache(LARGE)
    batch = np.random.default_rng(0).random((64, 28)).astype(np.float32)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(3000):
            row = replace(answer(0), probabilities=batch[number % 64], tokens=1000 + number)
            cache.put(models[0], f"text {number}", MEAN, row)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 1000 < len(cache) < 3000
    assert used <= LARGE
    assert cache.get(models[0], "text 0", MEAN) is None
    assert cache.get(models[0], "text 2999", MEAN) is not None


async def test_only_unknown_texts_are_scored(models: list[Model]) -> None:
    scorer, events = FakeClassifier(models[0]), list[Event]()
    classifier = CachedClassifier(scorer, AnswerCache(LARGE), LIMITS, listener=events.append)
    first = await ask(classifier, "a", "bb")
    second = await ask(classifier, "bb", "ccc", "a")
    assert scorer.texts == ["a", "bb", "ccc"]
    assert values(second) == pytest.approx([2.1, 3.1, 1.1])
    assert values(first) == pytest.approx([1.1, 2.1])
    third = await ask(classifier, "a")
    assert third.stages == StageSeconds(0.0, 0.0, 0.0)
    assert events == [CacheRead(0, 2), CacheRead(2, 1), CacheRead(1, 0)]


async def test_another_policy_is_a_miss(models: list[Model]) -> None:
    scorer = FakeClassifier(models[0])
    classifier = CachedClassifier(scorer, AnswerCache(LARGE), LIMITS)
    for policy in (MEAN, TRUNCATE, MEAN, TRUNCATE):
        await ask(classifier, "a", policy=policy)
    assert scorer.texts == ["a", "a"]


@pytest.mark.parametrize("other", [1, 2])
async def test_another_model_is_a_miss(models: list[Model], other: int) -> None:
    scorer = FakeClassifier(models[0])
    classifier = CachedClassifier(scorer, AnswerCache(LARGE), LIMITS)
    await ask(classifier, "a")
    scorer.models = [models[other]]
    assert (await ask(classifier, "a")).model is models[other]
    assert scorer.texts == ["a", "a"]


async def test_a_call_during_a_change_of_the_version_has_answers_of_one(models: list[Model]) -> None:
    scorer, events = FakeClassifier(models[0]), list[Event]()
    classifier = CachedClassifier(scorer, AnswerCache(LARGE), LIMITS, listener=events.append)
    await ask(classifier, "a")
    scorer.models = models[:2]
    answered = await ask(classifier, "a", "bb")
    assert answered.model is models[1]
    assert values(answered) == pytest.approx([1.2, 2.2])
    assert events == [CacheRead(0, 1), CacheRead(0, 2)]


async def test_a_full_queue_refuses_only_the_unknown_texts(models: list[Model]) -> None:
    scorer, events = FakeClassifier(models[0]), list[Event]()
    classifier = CachedClassifier(scorer, AnswerCache(LARGE), LIMITS, listener=events.append)
    await ask(classifier, "a")
    scorer.full = True
    answered = await ask(classifier, "bb", "a", "ccc")
    assert values(answered) == [None, pytest.approx(1.1), None]
    assert isinstance(answered.outcomes[0], OverloadedError)
    with pytest.raises(OverloadedError):
        await ask(classifier, "bb", "ccc")
    assert events == [CacheRead(0, 1), CacheRead(1, 2), CacheRead(0, 2)]


async def test_failures_are_not_kept(models: list[Model]) -> None:
    scorer = FakeClassifier(models[0])
    classifier = CachedClassifier(scorer, AnswerCache(LARGE), LIMITS)
    scorer.failing = {"bb"}
    assert values(await ask(classifier, "a", "bb")) == [pytest.approx(1.1), None]
    scorer.failing = set()
    assert values(await ask(classifier, "a", "bb")) == pytest.approx([1.1, 2.1])
    assert scorer.texts == ["a", "bb", "bb"]


async def test_an_invalid_id_is_refused_although_the_text_is_known(models: list[Model]) -> None:
    scorer = FakeClassifier(models[0])
    classifier = CachedClassifier(scorer, AnswerCache(LARGE), LIMITS)
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
        await pod.wait_metric('undertone_cache_paragraphs_total{result="hit"}', 1)
        await pod.wait_metric('undertone_cache_paragraphs_total{result="miss"}', 1)
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
        await pod.wait_metric('undertone_cache_paragraphs_total{result="hit"}', 1)
        await pod.wait_metric('undertone_cache_paragraphs_total{result="miss"}', 3)
