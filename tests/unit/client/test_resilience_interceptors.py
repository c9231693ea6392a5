"""The layers around a call, over real sockets."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import fields, replace

import grpc
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from undertone_client import (
    BreakerSettings,
    BreakerState,
    BudgetSettings,
    Client,
    DeadlineExceededError,
    Failure,
    HedgingSettings,
    InvalidParagraphError,
    LimitSettings,
    Mode,
    RetryPolicy,
    Score,
    Settings,
    UnavailableError,
)
from undertone_client.channel import open_channel
from undertone_client.resilience import (
    AttemptFinished,
    CallCounts,
    Event,
    Hedged,
    LimitChanged,
    Recovered,
    Retried,
    Shed,
    Skipped,
)
from undertone_client.resilience.stack import Resilience
from undertone_client.testing import FakeClassifier, Fault, ItemFault, Relay
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED
CANCELLED, INTERNAL, OK = grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.OK
HANG = Fault(OK, delay_seconds=math.inf)
BATCH = Settings(mode=Mode.BATCH)
IMPATIENT = Settings(breaker=BreakerSettings(patience_seconds=0))
SOON = RetryPolicy(initial_seconds=0.001, max_seconds=0.001)


async def at_once(seconds: float) -> None:
    """Does not sleep."""
    await asyncio.sleep(0)


class Sleeper:
    """Sleeps until it is woken, and notes how long it was asked to."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.woken = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await self.woken.wait()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another task or the network does."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_server_that_drains_is_asked_again(service: FakeClassifier, mode: Mode) -> None:
    service.faults.append(Fault(CANCELLED, "draining"))
    async with Client(service.target, settings=Settings(mode=mode), sleep=at_once) as client:
        assert (await client.classify("text")).tokens == 3
        assert client.state().counts == CallCounts({"OK": 1, "CANCELLED": 1}, retried=1, handled=1)


async def test_a_cancellation_by_the_caller_ends_the_call_and_counts_for_nothing(service: FakeClassifier) -> None:
    settings = Settings(breaker=BreakerSettings(consecutive_failures=1), limit=LimitSettings.fixed(1))
    async with Client(service.target, settings=settings) as client:
        service.faults.append(HANG)
        call = asyncio.create_task(client.classify("text"))
        await service.until_in_flight(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: service.in_flight == 0)
        state = client.state()
        assert (state.in_flight, state.breaker, state.counts) == (0, BreakerState.CLOSED, CallCounts())
        assert (await client.classify("text")).tokens == 3


async def test_backoff_holds_no_slot(service: FakeClassifier) -> None:
    sleeper = Sleeper()
    service.faults.append(Fault(UNAVAILABLE))
    async with Client(service.target, settings=Settings(limit=LimitSettings.fixed(1)), sleep=sleeper) as client:
        first = asyncio.create_task(client.classify("first"))
        await until(lambda: client.state().pausing == 1)
        assert (await client.classify("second")).tokens == 3
        assert client.state().in_flight == 0
        sleeper.woken.set()
        assert (await first).tokens == 3


async def test_slots_bound_the_calls_of_all_callers_and_are_handed_on(service: FakeClassifier) -> None:
    service.gate.clear()
    async with Client(service.target, settings=Settings(limit=LimitSettings.fixed(2))) as client:
        calls = [asyncio.create_task(client.classify(f"paragraph {index}")) for index in range(6)]
        await service.until_in_flight(2)
        await until(lambda: client.state().waiting == 4)
        calls[3].cancel()  # while it waits
        await until(lambda: client.state().waiting == 3)
        service.gate.set()
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert service.most_in_flight == 2
    assert [isinstance(end, Score) for end in ends] == [True, True, True, False, True, True]
    assert len(service.calls) == 5


async def test_every_attempt_is_seen(service: FakeClassifier) -> None:
    events: list[Event] = []
    service.faults.extend([Fault(UNAVAILABLE), Fault(EXHAUSTED, pushback_ms=20)])
    async with Client(service.target, listener=events.append, random=lambda: 0.25, sleep=at_once) as client:
        await client.classify("text")
    finished = [event for event in events if isinstance(event, AttemptFinished)]
    assert [event.status for event in finished] == [UNAVAILABLE, EXHAUSTED, OK]
    assert {event.method for event in finished} == {"Classify"}
    assert [event for event in events if isinstance(event, Retried)] == [
        Retried("Classify", UNAVAILABLE, 2, 0.25 * 0.2),
        Retried("Classify", EXHAUSTED, 3, 0.02 + 0.25 * 0.4),
    ]
    assert events[-1] == Recovered("Classify", 2)


async def test_an_attempt_that_is_not_answered_in_time_is_made_again_for_a_batch(service: FakeClassifier) -> None:
    service.faults.append(HANG)
    async with Client(service.target, settings=Settings(timeout_seconds=0.2), sleep=at_once) as client:
        [score] = await client.classify_batch(["text"])
        assert isinstance(score, Score)
        assert client.state().counts.attempts == {"DEADLINE_EXCEEDED": 1, "OK": 1}


async def test_a_deadline_holds_for_the_call_as_a_whole_and_travels(service: FakeClassifier) -> None:
    service.faults.append(Fault(UNAVAILABLE))
    service.faults.append(HANG)
    settings = Settings(mode=Mode.BATCH, timeout_seconds=20, deadline_seconds=0.5)
    async with Client(service.target, settings=settings, random=lambda: 0.0) as client:
        with pytest.raises(DeadlineExceededError) as caught:
            await client.classify("text")
        assert caught.value.attempts == 2
        assert client.state().in_flight == 0
    assert all(call.seconds_left is not None and call.seconds_left < 1 for call in service.calls)


async def test_a_deadline_holds_while_waiting_for_the_breaker(service: FakeClassifier) -> None:
    await service.stop()
    settings = replace(BATCH, deadline_seconds=0.3, retry=SOON, breaker=BreakerSettings(consecutive_failures=2))
    async with Client(service.target, settings=settings) as client:
        with pytest.raises(DeadlineExceededError, match=r"deadline_seconds 0\.3"):
            await client.classify("text")
        assert client.state().breaker is BreakerState.OPEN


async def test_online_calls_fail_at_once_while_the_breaker_is_open(service: FakeClassifier) -> None:
    events: list[Event] = []
    service.faults.extend([Fault(UNAVAILABLE)] * 3)
    settings = Settings(retry=RetryPolicy(attempts=1), breaker=BreakerSettings(consecutive_failures=3))
    async with Client(service.target, settings=settings, listener=events.append) as client:
        for _ in range(3):
            with pytest.raises(UnavailableError, match="scripted"):
                await client.classify("text")
        with pytest.raises(UnavailableError, match="circuit breaker is open") as caught:
            await client.classify("text")
        assert caught.value.attempts == 0
        assert client.state().breaker is BreakerState.OPEN
    assert len(service.calls) == 3
    assert events[-2:] == [Shed("Classify"), Skipped(UNAVAILABLE, 1)]


async def test_calls_that_were_not_sent_cost_no_retry_budget(service: FakeClassifier) -> None:
    now = 0.0
    settings = Settings(
        budget=BudgetSettings(tokens=10), retry=RetryPolicy(attempts=2), breaker=BreakerSettings(consecutive_failures=2)
    )
    async with Client(service.target, settings=settings, clock=lambda: now, sleep=at_once) as client:
        service.faults.extend([Fault(UNAVAILABLE)] * 2)
        for _ in range(50):
            with pytest.raises(UnavailableError):
                await client.classify("text")
        now = 1.0
        assert (await client.classify("text")).tokens == 3
        service.faults.append(Fault(UNAVAILABLE))
        assert (await client.classify("text")).tokens == 3
        assert client.state().counts.shed == 49


@pytest.mark.parametrize("status", [EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT, INTERNAL, grpc.StatusCode.PERMISSION_DENIED])
async def test_errors_of_a_service_that_works_do_not_open_the_breaker(service: FakeClassifier, status: grpc.StatusCode) -> None:
    service.faults.extend([Fault(status)] * 20)
    settings = Settings(retry=RetryPolicy(attempts=1), breaker=BreakerSettings(consecutive_failures=2))
    async with Client(service.target, settings=settings) as client:
        for _ in range(4):
            with pytest.raises(Exception, match="scripted"):
                await client.classify("text")
        assert client.state().breaker is BreakerState.CLOSED


async def test_a_restart_of_the_service_loses_nothing(service: FakeClassifier) -> None:
    settings = Settings(
        batch_items=2,
        timeout_seconds=5,
        retry=replace(SOON, attempts=2),
        breaker=BreakerSettings(consecutive_failures=2, open_seconds=0.02, max_open_seconds=0.05),
    )
    texts = [f"paragraph {index}" for index in range(120)]
    async with (
        Client(service.target, settings=settings) as client,
        aclosing(client.score(texts, ordered=False)) as outcomes,
    ):
        found = []
        async for outcome in outcomes:
            assert isinstance(outcome, Score), outcome
            found.append(outcome.paragraph.text)
            if len(found) in (20, 60):
                await service.stop()
                await until(lambda: client.state().breaker is not BreakerState.CLOSED)
                await service.__aenter__()
        counts = client.state().counts
    assert sorted(found) == sorted(texts)
    assert counts.skipped == {}
    assert counts.errors > 2


async def test_a_job_whose_service_has_gone_for_good_comes_to_an_end(service: FakeClassifier) -> None:
    breaker = BreakerSettings(consecutive_failures=2, open_seconds=0.02, max_open_seconds=0.02, patience_seconds=0.1)
    async with Client(service.target, settings=Settings(retry=SOON, breaker=breaker, batch_items=1)) as client:
        await service.stop()
        outcomes = await asyncio.gather(*(client.classify_batch([f"paragraph {index}"]) for index in range(5)))
        assert all(isinstance(outcome, Failure) and outcome.status is UNAVAILABLE for [outcome] in outcomes)
        assert client.state().counts.skipped == {"UNAVAILABLE": 5}


async def test_a_broken_connection_is_made_again(service: FakeClassifier) -> None:
    async with Relay(service.port) as relay, Client(relay.target, settings=replace(BATCH, retry=SOON)) as client:
        assert (await client.classify("before")).tokens == 3
        service.gate.clear()
        calls = [asyncio.create_task(client.classify(f"paragraph {index}")) for index in range(3)]
        await service.until_in_flight(3)
        relay.reset()
        service.gate.set()
        assert [score.tokens for score in await asyncio.gather(*calls)] == [4, 4, 4]
        assert client.state().counts.handled >= 3
        assert relay.connections >= 2


@pytest.fixture
async def hedging(service: FakeClassifier) -> AsyncIterator[Client]:
    settings = Settings(hedging=HedgingSettings(delay_seconds=0.05), timeout_seconds=20)
    async with Client(service.target, settings=settings) as client:
        yield client


async def test_a_slow_call_is_hedged_and_the_slower_attempt_cancelled(service: FakeClassifier, hedging: Client) -> None:
    service.faults.append(HANG)
    assert (await hedging.classify("text")).tokens == 3
    await until(lambda: service.in_flight == 0)
    assert len(service.calls) == 2
    assert (hedging.state().in_flight, hedging.state().counts) == (0, CallCounts({"OK": 1}, hedged=1))


async def test_a_quick_call_is_not_hedged_nor_is_a_batch(service: FakeClassifier, hedging: Client) -> None:
    await hedging.classify("text")
    service.faults.append(Fault(OK, delay_seconds=0.2))
    await hedging.classify_batch(["text"])
    assert len(service.calls) == 2
    assert hedging.state().counts.hedged == 0


async def test_a_failure_that_is_final_ends_the_hedges_too(service: FakeClassifier, hedging: Client) -> None:
    service.faults.append(Fault(grpc.StatusCode.INVALID_ARGUMENT, delay_seconds=0.2))
    service.faults.append(HANG)
    with pytest.raises(InvalidParagraphError):
        await hedging.classify("text")
    await until(lambda: service.in_flight == 0)


async def test_a_failure_that_may_pass_leaves_it_to_the_hedge(service: FakeClassifier, hedging: Client) -> None:
    service.faults.append(Fault(UNAVAILABLE, delay_seconds=0.2))
    service.faults.append(Fault(OK, delay_seconds=0.3))
    assert (await hedging.classify("text")).tokens == 3
    assert hedging.state().counts == CallCounts({"UNAVAILABLE": 1, "OK": 1}, hedged=1, handled=1)


async def test_failures_of_all_hedges_are_retried(service: FakeClassifier) -> None:
    service.faults.extend([Fault(UNAVAILABLE)] * 2)
    settings = Settings(hedging=HedgingSettings(delay_seconds=5), retry=SOON)
    async with Client(service.target, settings=settings) as client:
        assert (await client.classify("text")).tokens == 3
        assert client.state().counts == CallCounts({"UNAVAILABLE": 2, "OK": 1}, retried=2, handled=2)


async def test_without_budget_there_are_no_hedges(service: FakeClassifier) -> None:
    events: list[Event] = []
    service.faults.extend([Fault(UNAVAILABLE), Fault(OK, delay_seconds=0.2)])
    settings = Settings(
        hedging=HedgingSettings(delay_seconds=0.05), budget=BudgetSettings(tokens=1), retry=RetryPolicy(attempts=1)
    )
    async with Client(service.target, settings=settings, listener=events.append) as client:
        with pytest.raises(UnavailableError):
            await client.classify("text")
        assert (await client.classify("text")).tokens == 3
    assert not any(isinstance(event, Hedged) for event in events)


@pytest.mark.parametrize("algorithm", ["adaptive", "aimd"])
async def test_paragraphs_that_are_refused_slow_the_limit_down(service: FakeClassifier, algorithm: str) -> None:
    events: list[Event] = []
    service.item_faults = {"full": ItemFault(EXHAUSTED, pushback_ms=1)}
    limit = replace(LimitSettings.parse(algorithm), initial=16)
    async with Client(
        service.target, settings=replace(IMPATIENT, limit=limit), listener=events.append, sleep=at_once
    ) as client:
        for _ in range(12):
            await client.classify_batch(["one", "full"])
        state = client.state()
    assert state.limit < 16
    assert state.breaker is BreakerState.CLOSED
    assert min(event.value for event in events if isinstance(event, LimitChanged)) == state.limit
    assert state.counts.refused == {"RESOURCE_EXHAUSTED": 60}
    assert state.counts.skipped == {"RESOURCE_EXHAUSTED": 12}


@pytest.mark.parametrize("status", [INTERNAL, grpc.StatusCode.INVALID_ARGUMENT])
async def test_a_poisoned_paragraph_is_set_apart(service: FakeClassifier, status: grpc.StatusCode) -> None:
    service.poison = {"paragraph 5": Fault(status, "cannot be read")}
    texts = [f"paragraph {index}" for index in range(8)]
    async with Client(service.target) as client:
        outcomes = await client.classify_batch(texts)
        counts = client.state().counts
    assert [isinstance(outcome, Score) for outcome in outcomes] == [index != 5 for index in range(8)]
    failure = outcomes[5]
    assert isinstance(failure, Failure)
    assert (failure.status, failure.reason, failure.attempts) == (status, "cannot be read", 4)
    assert counts.errors == 4 == counts.handled + 1  # those of the halved calls, and that of the last
    assert len(service.calls) == 7  # 8, then 4, 4, 2, 1, 1, 2


async def test_the_paper_s_table(service: FakeClassifier) -> None:
    service.faults.extend([Fault(UNAVAILABLE), Fault(CANCELLED), Fault(OK), *[Fault(EXHAUSTED)] * 5])
    async with Client(service.target, settings=IMPATIENT, sleep=at_once) as client:
        await client.classify_batch(["one", "two"])
        await client.classify_batch(["three", "four"])
        counts = client.state().counts
    attempts = {"OK": 1, "UNAVAILABLE": 1, "CANCELLED": 1, "RESOURCE_EXHAUSTED": 5}
    assert counts == CallCounts(attempts, retried=6, handled=2, skipped={"RESOURCE_EXHAUSTED": 2})
    assert counts.errors == 7
    assert counts + CallCounts({"OK": 1}, hedged=1, shed=2) == replace(counts, attempts={**attempts, "OK": 2}, hedged=1, shed=2)


COUNTS = st.builds(
    CallCounts,
    **{
        each.name: st.integers(0, 9)
        if each.type is int
        else st.dictionaries(st.sampled_from(["OK", "UNAVAILABLE", "INTERNAL"]), st.integers(1, 9))
        for each in fields(CallCounts)
    },
)


@examples(max_examples=50, deadline=None)
@given(COUNTS, COUNTS)
def test_counts_are_added_and_subtracted_field_by_field(one: CallCounts, other: CallCounts) -> None:
    assert (one + other) - other == one
    assert one - one == CallCounts()
    assert (one + other).errors == one.errors + other.errors
    assert sum((one, other), CallCounts()) == one + other


async def test_refusals_are_handled_only_if_their_paragraphs_are_scored(service: FakeClassifier) -> None:
    service.item_faults = {"two": ItemFault(EXHAUSTED, times=2), "three": ItemFault(UNAVAILABLE)}
    async with Client(service.target, sleep=at_once) as client:
        await client.classify_batch(["one", "two"])
        assert client.state().counts.handled == 2
        await client.classify_batch(["one", "three"])
        assert client.state().counts.handled == 2


async def test_a_stream_lets_the_limit_grow(service: FakeClassifier) -> None:
    service.delay_seconds = 0.02
    async with Client(service.target, settings=Settings(batch_items=1)) as client:
        outcomes = [outcome async for outcome in client.score(f"paragraph {index}" for index in range(500))]
        assert client.state().limit > 8
    assert len(outcomes) == 500
    assert service.most_in_flight > 8


async def test_the_layers_work_on_a_channel_of_one_s_own(service: FakeClassifier) -> None:
    service.faults.append(Fault(UNAVAILABLE))
    layers = Resilience(Settings(), refused=lambda reply: None, sleep=at_once)
    async with open_channel(service.target, Settings(), layers.interceptors) as channel:
        reply = await pb_grpc.ClassifierStub(channel).Classify(pb.ClassifyRequest(text="text"))
    assert reply.tokens == 3
    assert layers.state().counts == CallCounts({"UNAVAILABLE": 1, "OK": 1}, retried=1, handled=1)
