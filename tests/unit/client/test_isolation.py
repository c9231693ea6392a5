"""Paragraphs that make the service unavailable, through all layers of the client."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client import CallState, Client, Failure, Outcome, Reply, Request, RetryPolicy, Settings
from undertone_client.errors import service_error
from undertone_client.suspects import MAX_ROUNDS, ROUNDS
from undertone_client.wire import read_reply
from undertone_protos.v1 import classifier_pb2 as pb

UNAVAILABLE, DEADLINE = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED


class Service:
    """Fails every call that contains a poisonous text. Its clock moves while the client sleeps.

    Attributes:
        down_until: the service fails every call before this time.
        calls: the texts of each call.
        is_down: whether the service fails a call for another reason. Takes the number of the call.
        crash_seconds: time for which the service is down after a call with a poisonous text.
    """

    def __init__(
        self, poison: frozenset[str] = frozenset(), status: grpc.StatusCode = UNAVAILABLE, down_until: float = 0
    ) -> None:
        self._poison = poison
        self._status = status
        self.down_until = down_until
        self.now = 0.0
        self.calls: list[list[str]] = []
        self.is_down: Callable[[int], bool] = lambda _: False
        self.crash_seconds = 0.0

    async def send(self, request: Request, call: CallState) -> Reply:
        assert isinstance(request.message, pb.ClassifyBatchRequest)
        texts = [paragraph.text for paragraph in request.message.paragraphs]
        self.calls.append(texts)
        await asyncio.sleep(0)
        is_poisoned = bool(self._poison.intersection(texts))
        is_down = self.now < self.down_until or self.is_down(len(self.calls))
        if is_poisoned and not is_down:
            self.down_until = self.now + self.crash_seconds
        if is_poisoned or is_down:
            status = self._status if is_poisoned else UNAVAILABLE
            raise service_error(status, "connection reset", attempts=call.attempts)
        message = pb.ClassifyBatchResponse(labels=["joy"])
        for _ in texts:
            message.results.add().classification.probabilities.append(1.0)
        return read_reply(message, ())

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    def outcomes(
        self, *calls: Sequence[str], options: Settings | None = None, random: Callable[[], float] = lambda: 0.5
    ) -> list[Outcome]:
        """Scores texts, all calls at the same time. Returns the outcomes of all calls."""

        async def run() -> list[Outcome]:
            client = Client(transport=self, settings=options, clock=lambda: self.now, random=random, sleep=self.sleep)
            async with client:
                return [each for batch in await asyncio.gather(*map(client.classify_batch, calls)) for each in batch]

        return asyncio.run(run())

    def failed(self, *calls: Sequence[str]) -> list[str]:
        """Scores texts, all calls at the same time. Returns those that failed."""
        return [outcome.paragraph.text for outcome in self.outcomes(*calls) if isinstance(outcome, Failure)]

    def sent(self, text: str) -> int:
        """Number of calls that contained the text."""
        return sum(text in call for call in self.calls)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 32),
    st.sets(st.integers(0, 31), min_size=1, max_size=4),
    st.sampled_from([UNAVAILABLE, DEADLINE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL]),
)
def test_exactly_the_poisonous_paragraphs_fail(count: int, indices: set[int], status: grpc.StatusCode) -> None:
    texts = [str(index) for index in range(count)]
    poison = [text for text in texts if int(text) in indices]
    service = Service(frozenset(poison), status)
    assert service.failed(texts) == poison
    # Each poisonous paragraph costs at most two calls with two attempts a level, and the calls that
    # decide about it and about its neighbour.
    assert len(service.calls) <= 5 + len(poison) * (8 * count.bit_length() + (ROUNDS + 1) * 7)
    assert service.now < 60  # the patience is 300 s


@pytest.mark.parametrize("down", [1.0, 30.0, 200.0])
def test_a_service_that_is_down_for_a_while_loses_no_paragraph(down: float) -> None:
    service = Service(down_until=down)
    assert service.failed([str(index) for index in range(32)]) == []
    assert len(service.calls) < 100


def test_a_dead_service_gets_few_calls_and_all_paragraphs_fail() -> None:
    texts = [str(index) for index in range(32)]
    service = Service(down_until=10**9)
    assert service.failed(texts) == texts
    assert service.now == pytest.approx(300, abs=20)
    assert len(service.calls) < 50


def test_a_poisonous_paragraph_during_an_outage_is_the_only_one_that_fails() -> None:
    texts = [str(index) for index in range(32)]
    service = Service(frozenset({"7"}), down_until=40.0)
    assert service.failed(texts) == ["7"]


@pytest.mark.parametrize(
    ("status", "reported"),
    [(UNAVAILABLE, grpc.StatusCode.INTERNAL), (DEADLINE, DEADLINE), (grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL)],
)
def test_a_poisonous_paragraph_without_others_is_told_from_an_outage(
    status: grpc.StatusCode, reported: grpc.StatusCode
) -> None:
    service = Service(frozenset({"poison"}), status)
    (failure,) = service.outcomes(["poison"])
    assert isinstance(failure, Failure)
    # UNAVAILABLE would end a run, as if the service were down.
    assert failure.status is reported
    assert f"failed {ROUNDS} times on this paragraph alone" in failure.reason
    assert f"{status.name}: connection reset" in failure.reason
    assert failure.attempts == service.sent("poison") == 5 + ROUNDS
    assert service.now < 60


@pytest.mark.parametrize("crash_seconds", [0.5, 10.0, 40.0])
def test_a_paragraph_that_crashes_the_service_fails_alone(crash_seconds: float) -> None:
    service = Service(frozenset({"3", "40", "41"}))
    service.crash_seconds = crash_seconds
    assert service.failed([str(index) for index in range(32)], [str(index) for index in range(32, 64)]) == ["3", "40", "41"]


def test_a_dead_service_and_a_single_paragraph_wait_for_all_patience() -> None:
    service = Service(down_until=10**9)
    (failure,) = service.outcomes(["text"])
    assert isinstance(failure, Failure)
    assert failure.status is UNAVAILABLE
    assert service.now == pytest.approx(300, abs=20)


def test_one_attempt_never_retries() -> None:
    service = Service(frozenset({"poison"}))
    service.outcomes(["poison"], options=Settings(retry=RetryPolicy(attempts=1)))
    assert len(service.calls) == 1


def condemned(service: Service, seed: int) -> int:
    """Number of 20 paragraphs that are reported to make the service fail, which none does."""
    outcomes = service.outcomes(*([f"{call}"] for call in range(20)), random=Random(seed).random)
    return sum("on this paragraph alone" in outcome.reason for outcome in outcomes if isinstance(outcome, Failure))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 0.95))
def test_a_service_that_fails_at_random_condemns_no_paragraph(seed: int, share: float) -> None:
    """A round counts with a probability of at most p (1 - p)^2 < .15, ROUNDS of them with .0001."""
    service, fault = Service(), Random(seed)
    service.is_down = lambda _: fault.random() < share
    assert condemned(service, seed) == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 8), st.integers(0, 7))
def test_a_dead_pod_of_several_in_turn_condemns_no_paragraph(seed: int, pods: int, dead: int) -> None:
    service = Service()
    service.is_down = lambda call: call % pods == dead % pods
    assert condemned(service, seed) == 0


def test_rounds_are_bounded_if_the_service_is_never_steady() -> None:
    service, fault = Service(frozenset({"poison"})), Random(1)
    service.is_down = lambda _: fault.random() < 0.5
    (failure,) = service.outcomes(["poison"])
    assert isinstance(failure, Failure)
    assert failure.status is UNAVAILABLE
    assert service.sent("poison") <= 5 + MAX_ROUNDS
