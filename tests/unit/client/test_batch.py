"""Batches that fail as a whole, against a service that is a function."""

import asyncio
from collections.abc import Callable, Sequence

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.batch import BatchCall
from undertone_client.errors import service_error
from undertone_client.resilience.retry import FindRemainder, Remainder
from undertone_client.transport import CallState, Mode, Reply, Request
from undertone_client.values import Failure, Outcome, Paragraph, Policy, Score
from undertone_client.wire import read_reply
from undertone_protos.v1 import classifier_pb2 as pb

POISON_STATUSES = [grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNKNOWN]
EXHAUSTED, UNAVAILABLE = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE
DEADLINE = grpc.StatusCode.DEADLINE_EXCEEDED


class Service:
    """Answers with `status_of(text)` for each paragraph, and retries every remainder at once.

    Args:
        status_of: the status of a paragraph, by its text.
        poison: texts that fail every request that contains one of them, with `poison_status`.
    """

    def __init__(
        self,
        status_of: Callable[[str], grpc.StatusCode],
        poison: frozenset[str] = frozenset(),
        poison_status: grpc.StatusCode = grpc.StatusCode.INTERNAL,
    ) -> None:
        self._status_of = status_of
        self._poison = poison
        self._poison_status = poison_status
        self.sent: list[list[str]] = []
        self.remainders: list[Remainder] = []
        self.splits = 0

    def score(self, texts: Sequence[str], mode: Mode = Mode.BATCH) -> list[Outcome]:
        batch = BatchCall([Paragraph(text) for text in texts], Policy.CHUNK_MEAN, self, None)
        return asyncio.run(batch.run(CallState(mode)))

    async def send(self, request: Request, call: CallState, find_remainder: FindRemainder) -> Reply:
        while True:
            assert isinstance(request.message, pb.ClassifyBatchRequest)
            call.attempts += 1
            texts = [paragraph.text for paragraph in request.message.paragraphs]
            self.sent.append(texts)
            if self._poison.intersection(texts):
                raise service_error(self._poison_status, "poisoned")
            reply = self._reply(texts)
            remainder = find_remainder(reply)
            if remainder is None:
                return reply
            self.remainders.append(remainder)
            request = remainder.request

    def _reply(self, texts: Sequence[str]) -> Reply:
        message = pb.ClassifyBatchResponse(labels=["joy"])
        for text in texts:
            result = message.results.add()
            status = self._status_of(text)
            if status is grpc.StatusCode.OK:
                result.classification.probabilities.append(1.0)
            else:
                result.error.code = status.value[0]
        return read_reply(message, ())

    def emit_recovery(self, request: Request, call: CallState) -> None:
        self.splits += 1

    async def back_off(self, call: CallState) -> None:
        raise AssertionError("there are no suspects")


def refuse_once(refusals: dict[str, grpc.StatusCode]) -> Callable[[str], grpc.StatusCode]:
    """The statuses in `refusals` the first time, then OK."""
    left = dict(refusals)
    return lambda text: left.pop(text, grpc.StatusCode.OK)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 40),
    st.sets(st.integers(0, 39), max_size=5),
    st.sets(st.integers(0, 39), max_size=5),
    st.sampled_from(POISON_STATUSES),
)
def test_all_paragraphs_but_the_poisoned_ones_are_scored(
    count: int, poison: set[int], refused: set[int], status: grpc.StatusCode
) -> None:
    refusals = dict.fromkeys(map(str, refused), EXHAUSTED)
    service = Service(refuse_once(refusals), frozenset(map(str, poison)), status)
    texts = [str(index) for index in range(count)]
    outcomes = service.score(texts)
    assert [outcome.paragraph.text for outcome in outcomes] == texts
    for index, outcome in enumerate(outcomes):
        if index in poison:
            assert isinstance(outcome, Failure)
            assert outcome.status is status
            assert outcome.attempts == sum(str(index) in sent for sent in service.sent)
        else:
            assert isinstance(outcome, Score)
    poisoned = len(poison & set(range(count)))
    # Each poisoned paragraph costs two calls a level, and each refused paragraph one more.
    assert len(service.sent) <= 1 + 2 * poisoned * count.bit_length() + 5


def test_a_service_that_fails_every_call_is_sent_each_paragraph_alone_once() -> None:
    texts = [str(index) for index in range(32)]
    service = Service(refuse_once({}), frozenset(texts))
    assert all(isinstance(outcome, Failure) for outcome in service.score(texts))
    assert (len(service.sent), service.splits) == (63, 31)


@pytest.mark.parametrize(("count", "is_partial"), [(3, False), (4, True)])
def test_a_remainder_is_partial_if_other_paragraphs_were_answered(count: int, is_partial: bool) -> None:
    service = Service(refuse_once(dict.fromkeys("012", EXHAUSTED)))
    service.score([str(index) for index in range(count)])
    assert [remainder.is_partial for remainder in service.remainders] == [is_partial]


def test_resource_exhausted_takes_precedence_over_other_reasons_to_retry() -> None:
    service = Service(refuse_once({"one": UNAVAILABLE, "two": EXHAUSTED}))
    service.score(["one", "two"])
    assert [remainder.status for remainder in service.remainders] == [EXHAUSTED]


def test_paragraphs_with_deadline_exceeded_are_sent_again_in_batch_mode_only() -> None:
    assert isinstance(Service(refuse_once({"one": DEADLINE})).score(["one"], Mode.BATCH)[0], Score)
    assert isinstance(Service(refuse_once({"one": DEADLINE})).score(["one"], Mode.ONLINE)[0], Failure)


def test_any_other_error_fails_all_paragraphs() -> None:
    service = Service(refuse_once({}), frozenset({"3"}), grpc.StatusCode.PERMISSION_DENIED)
    outcomes = service.score([str(index) for index in range(4)])
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [True] * 4
    assert len(service.sent) == 1
