import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import grpc
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from undertone_planner.fleet.batching import Batching, BatchingSettings, ServiceTime
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.pod import PodSettings
from undertone_planner.fleet.work import CallError, Lane, Work

from tests.unit.support.calibrations import CALIBRATION

T = TypeVar("T")

TIME = ServiceTime(seconds_per_call=0.1, seconds_per_token=0.01)
MERGING = BatchingSettings(TIME, batch_tokens=100, queue=None)
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def run_with(settings: BatchingSettings, scenario: Callable[[Batching], Awaitable[T]]) -> T:
    async def main() -> T:
        return await scenario(Batching(settings, asyncio.get_running_loop().time))

    return run(main())


async def ends(batching: Batching, *works: Work, deadline: float = math.inf) -> list[float]:
    """Times at which calls that arrive together are answered. Negative: when they are refused."""

    async def serve(work: Work) -> float:
        now = asyncio.get_running_loop().time
        try:
            await batching.serve(work, deadline)
        except CallError as error:
            return -now() if error.status is EXHAUSTED else math.nan
        return now()

    return list(await asyncio.gather(*map(serve, works)))


def times(settings: BatchingSettings, *works: Work, deadline: float = math.inf) -> list[float]:
    return run_with(settings, lambda batching: ends(batching, *works, deadline=deadline))


def test_without_a_budget_each_call_takes_a_slot_for_its_time() -> None:
    assert times(BatchingSettings(TIME), *[Work(10)] * 3) == pytest.approx([0.2, 0.4, 0.6])
    assert times(BatchingSettings(TIME, slots=2), *[Work(10)] * 3) == pytest.approx([0.2, 0.2, 0.4])


def test_waiting_calls_share_a_batch_within_the_token_budget() -> None:
    # The first takes the free slot alone, the next ten share a batch, and the last is left.
    found = times(MERGING, *[Work(10)] * 12)
    assert found == pytest.approx([0.2, *[0.2 + 1.1] * 10, 1.3 + 0.2])


def test_a_batch_takes_the_nearest_lengths_while_padding_costs_less_than_another_call() -> None:
    settings = BatchingSettings(ServiceTime(0.1, 0.01), batch_tokens=200, queue=None)  # a call costs 10 tokens
    found = times(settings, Work(1), Work(40), Work(90), Work(36), Work(42))
    # 40 is padded to 42 and 36 to 42: 8 tokens of padding. 90 would need more.
    assert found == pytest.approx([0.11, 0.11 + 1.36, 0.11 + 1.36 + 1.0, 0.11 + 1.36, 0.11 + 1.36])


def test_a_large_call_is_divided_by_paragraphs() -> None:
    assert times(MERGING, Work(250, paragraphs=5)) == pytest.approx([2 * 1.1 + 0.6])


def test_a_paragraph_that_exceeds_the_budget_is_sent_alone() -> None:
    assert times(MERGING, Work(1), Work(500), Work(1)) == pytest.approx([0.11, 0.11 + 5.1, 5.21 + 0.11])


def test_free_slots_share_a_short_queue() -> None:
    settings = BatchingSettings(ServiceTime(0.01, 0.01), slots=2, batch_tokens=1000, queue=None)
    assert times(settings, Work(100, paragraphs=10)) == pytest.approx([0.51])


def test_readers_are_served_before_jobs_which_keep_their_share() -> None:
    job, reader = Work(50, lane=Lane.BATCH), Work(50)
    settings = BatchingSettings(ServiceTime(0.0, 0.01), batch_tokens=50, queue=None, batch_lane_share=0.25)
    found = times(settings, *[job] * 9, *[reader] * 8)
    # Behind the first batch: a quarter of the tokens for the job while readers wait.
    assert sorted(found[9:])[:3] == pytest.approx([1.0, 1.5, 2.0])
    assert sum(end <= max(found[9:]) for end in found[:9]) in (3, 4)


def test_batches_of_jobs_are_short_after_a_reader() -> None:
    settings = BatchingSettings(ServiceTime(0.001, 0.001), batch_tokens=2000, queue=None)

    async def scenario(batching: Batching) -> list[float]:
        await batching.serve(Work(1))
        job = asyncio.create_task(ends(batching, Work(4000, paragraphs=400, lane=Lane.BATCH)))
        await asyncio.sleep(0.001)
        await batching.serve(Work(1))
        read = asyncio.get_running_loop().time()
        await job
        return [read]

    # 14 tokens are 93 % efficient; a full batch would keep the reader waiting for 2 s.
    assert run_with(settings, scenario)[0] < 0.03


def test_full_queues_refuse_with_pushback() -> None:
    async def scenario(batching: Batching) -> list[int | None]:
        calls = await asyncio.gather(*(batching.serve(Work(50)) for _ in range(6)), return_exceptions=True)
        return [call.pushback_ms for call in calls if isinstance(call, CallError)]

    assert run_with(BatchingSettings(TIME, queue=3), scenario) == [200, 200]
    by_tokens = BatchingSettings(TIME, queue=None, queue_tokens=200, pushback_ms=None)
    # The call in service ends in 0.6 s, and the queue of 200 tokens takes 2.1 s: half of both.
    assert run_with(by_tokens, scenario) == [1350]
    assert run_with(BatchingSettings(TIME, queue=None, queue_paragraphs=4), scenario) == [200, 200]


def test_an_empty_queue_accepts_a_call_of_any_size() -> None:
    assert times(BatchingSettings(TIME, queue_tokens=10), Work(500, paragraphs=2)) == pytest.approx([5.1])


def test_calls_that_would_be_late_are_refused_at_once() -> None:
    settings = BatchingSettings(TIME, batch_tokens=100, queue=None, sheds_late=True)
    found = times(settings, *[Work(100)] * 5, deadline=2.5)
    assert found == pytest.approx([1.1, 2.2, 0, 0, 0])


def test_a_call_that_became_late_in_the_queue_is_not_computed() -> None:
    settings = BatchingSettings(TIME, batch_tokens=100, queue=None, sheds_late=True)

    async def scenario(batching: Batching) -> list[float]:
        batching.slowdown = 1.0
        first = asyncio.create_task(ends(batching, Work(100), Work(100), deadline=2.5))
        await asyncio.sleep(0.5)
        batching.slowdown = 5.0
        return await first

    assert run_with(settings, scenario) == pytest.approx([1.1, -1.1])


def test_a_calibrated_pod_reaches_the_speed_of_its_calibration() -> None:
    calibration = replace(CALIBRATION, seconds_per_call=0.004, seconds_per_token=1e-4)
    settings = PodSettings.calibrated(calibration)
    works = [Work(1024, paragraphs=32, lane=Lane.BATCH)] * 120
    seconds = max(times(settings, *works))
    assert 120 * 1024 / seconds == pytest.approx(calibration.tokens_per_second, rel=0.03)


works = st.builds(Work, st.floats(1, 500), st.integers(1, 8), st.sampled_from(Lane))
arrivals = st.lists(st.tuples(st.floats(0, 5), works, st.floats(0.01, 20), st.booleans()), min_size=1, max_size=30)


@examples(deadline=None, max_examples=60)
@given(
    arrivals,
    st.integers(1, 3),
    st.one_of(st.none(), st.integers(16, 300)),
    st.booleans(),
    st.one_of(st.none(), st.floats(0, 6)),
)
def test_each_call_ends_once_and_no_work_is_lost_or_left(
    arrivals: list[tuple[float, Work, float, bool]], slots: int, budget: int | None, sheds: bool, ends_at: float | None
) -> None:
    settings = BatchingSettings(TIME, slots=slots, batch_tokens=budget, queue=20, queue_tokens=2000, sheds_late=sheds)

    async def scenario(batching: Batching) -> None:
        answered = 0.0

        async def call(start: float, work: Work, seconds: float, cancels: bool) -> None:
            nonlocal answered
            await asyncio.sleep(start)
            deadline = asyncio.get_running_loop().time() + seconds
            try:
                async with asyncio.timeout(seconds if cancels else None):
                    await batching.serve(work, deadline)
                    answered += work.tokens
            except (CallError, TimeoutError):
                pass

        if ends_at is not None:
            asyncio.get_running_loop().call_later(ends_at, batching.end)
        await asyncio.gather(*(call(*arrival) for arrival in arrivals))
        await batching.idle()
        assert batching.in_flight == 0
        assert batching.queued_tokens == pytest.approx(0, abs=1e-6)
        assert answered <= batching.served_tokens + 1e-6
        now = asyncio.get_running_loop().time()
        assert batching.busy_seconds <= now + 1e-6
        await asyncio.sleep(100)
        assert batching.busy_seconds <= now + 1e-6  # nothing runs after the last call

    run_with(settings, scenario)
