"""Batches that fail as a whole, against a service that is a function."""

import asyncio
from collections.abc import Sequence

import grpc
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.batch import BatchCall, Trailers
from undertone_client.errors import service_error
from undertone_client.resilience import Mode, Progress
from undertone_client.values import Failure, Paragraph, Score
from undertone_protos.v1 import classifier_pb2 as pb

POISONING = [grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT]


class Service:
    """Fails every call that one of the poisoned paragraphs is in, and refuses others for now, once each."""

    def __init__(self, poisoned: set[int], status: grpc.StatusCode, refused: set[int]) -> None:
        self._poisoned = poisoned
        self._status = status
        self._refused = refused
        self.sent: list[list[int]] = []

    async def send(self, paragraphs: Sequence[Paragraph], progress: Progress) -> tuple[pb.ClassifyBatchResponse, Trailers]:
        progress.attempts += 1
        numbers = [int(paragraph.text) for paragraph in paragraphs]
        self.sent.append(numbers)
        if self._poisoned.intersection(numbers):
            raise service_error(self._status, "poisoned", attempts=progress.attempts)
        reply = pb.ClassifyBatchResponse(labels=["joy"])
        for number in numbers:
            result = reply.results.add()
            if number in self._refused:
                self._refused.remove(number)
                result.error.code = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
            else:
                result.classification.probabilities.append(1.0)
        return reply, ()

    async def pause(self, refusal: Failure, pushback_seconds: float | None, progress: Progress) -> bool:
        return True


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 40),
    st.sets(st.integers(0, 39), max_size=5),
    st.sets(st.integers(0, 39), max_size=5),
    st.sampled_from(POISONING),
)
def test_all_but_the_poisoned_paragraphs_are_scored(
    count: int, poisoned: set[int], refused: set[int], status: grpc.StatusCode
) -> None:
    service = Service(poisoned, status, refused)
    paragraphs = [Paragraph(str(index)) for index in range(count)]
    outcomes = asyncio.run(BatchCall(paragraphs, service.send, service.pause).run(Progress(Mode.BATCH)))
    assert [outcome.paragraph for outcome in outcomes] == paragraphs
    for index, outcome in enumerate(outcomes):
        if index in poisoned:
            assert isinstance(outcome, Failure)
            assert outcome.status is status
            assert outcome.attempts == sum(index in numbers for numbers in service.sent)
        else:
            assert isinstance(outcome, Score)
    among = len(poisoned & set(range(count)))
    # Each poisoned paragraph is halved out by two calls a level; what was refused for now is sent once more.
    assert len(service.sent) <= 1 + 2 * among * count.bit_length() + 5


def test_a_service_that_fails_for_everything_is_asked_twice_for_each_paragraph_at_most() -> None:
    service = Service(set(range(32)), grpc.StatusCode.INTERNAL, set())
    outcomes = asyncio.run(
        BatchCall([Paragraph(str(index)) for index in range(32)], service.send, service.pause).run(Progress())
    )
    assert all(isinstance(outcome, Failure) for outcome in outcomes)
    assert len(service.sent) == 63


def test_other_failures_are_those_of_all_paragraphs() -> None:
    service = Service({3}, grpc.StatusCode.PERMISSION_DENIED, set())
    outcomes = asyncio.run(
        BatchCall([Paragraph(str(index)) for index in range(4)], service.send, service.pause).run(Progress())
    )
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [True] * 4
    assert len(service.sent) == 1
