"""Paragraphs that make the service unavailable, through all layers of the client."""

import asyncio
from collections.abc import Sequence

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client import CallState, Client, Failure, Reply, Request, Score, Settings
from undertone_client.errors import service_error
from undertone_client.wire import read_reply
from undertone_protos.v1 import classifier_pb2 as pb

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Service:
    """Fails every call that contains a poisonous text. Its clock moves while the client sleeps.

    Attributes:
        down_until: the service fails every call before this time.
        calls: the texts of each call.
    """

    def __init__(
        self, poison: frozenset[str] = frozenset(), status: grpc.StatusCode = UNAVAILABLE, down_until: float = 0
    ) -> None:
        self._poison = poison
        self._status = status
        self.down_until = down_until
        self.now = 0.0
        self.calls: list[list[str]] = []

    async def send(self, request: Request, call: CallState) -> Reply:
        assert isinstance(request.message, pb.ClassifyBatchRequest)
        texts = [paragraph.text for paragraph in request.message.paragraphs]
        self.calls.append(texts)
        if self.now < self.down_until or self._poison.intersection(texts):
            raise service_error(self._status, "connection reset", attempts=call.attempts)
        message = pb.ClassifyBatchResponse(labels=["joy"])
        for _ in texts:
            message.results.add().classification.probabilities.append(1.0)
        return read_reply(message, ())

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    def failed(self, texts: Sequence[str], options: Settings | None = None) -> list[str]:
        """Scores the texts in one call. Returns those that failed."""

        async def run() -> list[str]:
            client = Client(transport=self, settings=options, clock=lambda: self.now, random=lambda: 0.5, sleep=self.sleep)
            async with client:
                outcomes = await client.classify_batch(texts)
            assert all(isinstance(outcome, Score | Failure) for outcome in outcomes)
            return [outcome.paragraph.text for outcome in outcomes if isinstance(outcome, Failure)]

        return asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 32),
    st.sets(st.integers(0, 31), min_size=1, max_size=4),
    st.sampled_from([UNAVAILABLE, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL]),
)
def test_exactly_the_poisonous_paragraphs_fail(count: int, indices: set[int], status: grpc.StatusCode) -> None:
    texts = [str(index) for index in range(count)]
    poison = [text for text in texts if int(text) in indices]
    if len(poison) == count:
        return  # nothing shows that the service is up
    service = Service(frozenset(poison), status)
    assert service.failed(texts) == poison
    # Each poisonous paragraph costs at most two calls with two attempts a level, and its retries.
    assert len(service.calls) <= 5 + len(poison) * (6 * count.bit_length() + 6)


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
