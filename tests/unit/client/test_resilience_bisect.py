"""Batches that fail as a whole, against a service that is a function."""

import asyncio
from collections.abc import Sequence

import grpc
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.batch import BatchCall, Trailers
from undertone_client.errors import service_error
from undertone_client.resilience import Mode, Progress
from undertone_client.values import Failure, Outcome, Paragraph, Score
from undertone_protos.v1 import classifier_pb2 as pb

POISONING = [grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT]


class Service:
    """Fails every call that one of the poisoned paragraphs is in, and refuses others for now, once each."""

    def __init__(self, poisoned: set[int], status: grpc.StatusCode, refused: set[int]) -> None:
        self._poisoned = poisoned
        self._status = status
        self.refused = refused
        self.sent: list[list[int]] = []
        self.advances = 0
        self.halves: list[Progress] = []

    def settle(self, paragraphs: Sequence[Paragraph]) -> list[Outcome]:
        call = BatchCall(paragraphs, self.send, self.pause, advanced=self.advanced, halved=self.halves.append)
        return asyncio.run(call.run(Progress(Mode.BATCH)))

    async def send(self, paragraphs: Sequence[Paragraph], progress: Progress) -> tuple[pb.ClassifyBatchResponse, Trailers]:
        progress.attempts += 1
        numbers = [int(paragraph.text) for paragraph in paragraphs]
        self.sent.append(numbers)
        if self._poisoned.intersection(numbers):
            raise service_error(self._status, "poisoned", attempts=progress.attempts)
        reply = pb.ClassifyBatchResponse(labels=["joy"])
        for number in numbers:
            result = reply.results.add()
            if number in self.refused:
                self.refused.remove(number)
                result.error.code = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
            else:
                result.classification.probabilities.append(1.0)
        return reply, ()

    def advanced(self, progress: Progress) -> None:
        self.advances += 1

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
    outcomes = service.settle(paragraphs)
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
    outcomes = service.settle([Paragraph(str(index)) for index in range(32)])
    assert all(isinstance(outcome, Failure) for outcome in outcomes)
    assert (len(service.sent), len(service.halves)) == (63, 31)


def test_answers_beside_refusals_are_progress() -> None:
    service = Service(set(), grpc.StatusCode.INTERNAL, {0, 1, 2})
    three, four = ([Paragraph(str(index)) for index in range(count)] for count in (3, 4))
    for sent, advances in ((three, 0), (four, 1)):
        service.refused = {0, 1, 2}
        service.settle(sent)
        assert service.advances == advances


def test_of_several_reasons_a_want_of_room_is_the_one_that_is_waited_for() -> None:
    reasons: list[grpc.StatusCode] = []

    async def send(paragraphs: Sequence[Paragraph], progress: Progress) -> tuple[pb.ClassifyBatchResponse, Trailers]:
        reply = pb.ClassifyBatchResponse(labels=["joy"])
        for status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
            reply.results.add().error.code = status.value[0]
        return reply, ()

    async def pause(refusal: Failure, pushback_seconds: float | None, progress: Progress) -> bool:
        reasons.append(refusal.status)
        return False

    call = BatchCall(
        [Paragraph("one"), Paragraph("two")], send, pause, advanced=lambda progress: None, halved=lambda progress: None
    )
    asyncio.run(call.run(Progress()))
    assert reasons == [grpc.StatusCode.RESOURCE_EXHAUSTED]


def test_paragraphs_that_came_too_late_are_asked_again_where_nobody_waits() -> None:
    def outcomes(mode: Mode) -> list[Outcome]:
        replies = iter((grpc.StatusCode.DEADLINE_EXCEEDED, None))

        async def send(paragraphs: Sequence[Paragraph], progress: Progress) -> tuple[pb.ClassifyBatchResponse, Trailers]:
            reply = pb.ClassifyBatchResponse(labels=["joy"])
            if status := next(replies):
                reply.results.add().error.code = status.value[0]
            else:
                reply.results.add().classification.probabilities.append(1.0)
            return reply, ()

        async def pause(refusal: Failure, pushback_seconds: float | None, progress: Progress) -> bool:
            return True

        def nothing(progress: Progress) -> None:
            pass

        return asyncio.run(BatchCall([Paragraph("one")], send, pause, advanced=nothing, halved=nothing).run(Progress(mode)))

    assert isinstance(outcomes(Mode.BATCH)[0], Score)
    assert isinstance(outcomes(Mode.ONLINE)[0], Failure)


def test_other_failures_are_those_of_all_paragraphs() -> None:
    service = Service({3}, grpc.StatusCode.PERMISSION_DENIED, set())
    outcomes = service.settle([Paragraph(str(index)) for index in range(4)])
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [True] * 4
    assert len(service.sent) == 1
