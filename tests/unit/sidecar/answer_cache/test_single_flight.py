"""Equal texts that are requested at the same time, on a virtual clock."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_planner.fleet.clock import run
from undertone_sidecar.answer_cache import CachedClassifier
from undertone_sidecar.answers import Answer, Classified
from undertone_sidecar.batching import Lane
from undertone_sidecar.errors import DeadlineError, OverloadedError
from undertone_sidecar.model import Model

from tests.unit.sidecar.answer_cache.support.classifiers import KEYS, LIMITS, FakeClassifier, ask, value_of, values

ONLINE, BATCH = Lane.ONLINE, Lane.BATCH
SECONDS = {ONLINE: 1.0, BATCH: 10.0}


@dataclass(frozen=True, slots=True)
class Call:
    """A call `start` seconds after the first, which its caller cancels at `end`."""

    texts: Sequence[str]
    start: float = 0.0
    lane: Lane = ONLINE
    caller: str = ""
    deadline: float = math.inf
    end: float = math.inf


Ended = tuple[Answer | BaseException, float]


def simulate(scorer: FakeClassifier, *calls: Call) -> list[Ended]:
    """The answer of each call without a cache, and the time of its end."""
    classifier = CachedClassifier(scorer, KEYS, LIMITS, clock=lambda: asyncio.get_running_loop().time())
    scorer.seconds = SECONDS

    async def one(call: Call) -> Ended:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(call.start)
        asked = ask(classifier, *call.texts, lane=call.lane, caller=call.caller, deadline=call.deadline)
        task = asyncio.ensure_future(asked)
        await asyncio.wait([task], timeout=None if call.end == math.inf else call.end - loop.time())
        task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        return outcome, loop.time()

    async def all_calls() -> list[Ended]:
        ended = await asyncio.gather(*(one(call) for call in calls))
        await asyncio.sleep(0)
        assert not len(classifier._single_flight)
        return ended

    return run(all_calls())


def answered(ended: Ended) -> list[float | None]:
    assert isinstance(ended[0], Answer)
    return values(ended[0])


def test_equal_texts_of_a_call_are_scored_once(models: list[Model]) -> None:
    scorer = FakeClassifier(models[0])
    [ended] = simulate(scorer, Call(["a", "bb", "a", "a"]))
    assert answered(ended) == pytest.approx([1.1, 2.1, 1.1, 1.1])
    assert scorer.texts == ["a", "bb"]


def test_calls_that_wait_do_not_queue_behind_each_other_when_the_version_is_replaced(models: list[Model]) -> None:
    scorer = FakeClassifier(*models[:2])
    ended = simulate(scorer, *(Call(["a", *("bb" for _ in range(number % 2))]) for number in range(20)))
    for answer, seconds in ended:
        assert isinstance(answer, Answer)
        assert answer.model is models[1]
        assert seconds <= 3


@pytest.mark.parametrize("caller", ["", "other"])
def test_equal_texts_of_concurrent_calls_are_scored_once(models: list[Model], caller: str) -> None:
    scorer = FakeClassifier(models[0])
    first, second = simulate(scorer, Call(["a", "bb"]), Call(["bb", "ccc", "a"], start=0.5, caller=caller))
    assert answered(first) == pytest.approx([1.1, 2.1])
    assert answered(second) == pytest.approx([2.1, 3.1, 1.1])
    assert scorer.texts == ["a", "bb", "ccc"]


def test_the_next_call_scores_the_text_of_a_cancelled_one(models: list[Model]) -> None:
    scorer = FakeClassifier(models[0])
    first, second, third = simulate(scorer, Call(["a"], end=0.6), Call(["a"], start=0.3), Call(["a"], start=0.4))
    assert isinstance(first[0], asyncio.CancelledError)
    assert [answered(second), answered(third)] == [[pytest.approx(1.1)]] * 2
    assert (second[1], third[1]) == (1.6, 1.6)
    assert scorer.texts == ["a", "a"]


@pytest.mark.parametrize("steps", range(6))
def test_a_call_that_is_cancelled_at_any_step_leaves_no_calculation(models: list[Model], steps: int) -> None:
    async def main() -> None:
        scorer = FakeClassifier(models[0])
        scorer.seconds = SECONDS
        classifier = CachedClassifier(scorer, KEYS, LIMITS, clock=lambda: asyncio.get_running_loop().time())
        first = asyncio.create_task(ask(classifier, "a"))
        await asyncio.sleep(0)
        cancelled = asyncio.create_task(ask(classifier, "a", "bb"))
        for _ in range(steps):
            await asyncio.sleep(0)
        cancelled.cancel()
        assert values(await ask(classifier, "bb", "a")) == pytest.approx([2.1, 1.1])
        assert values(await first) == pytest.approx([1.1])
        assert not len(classifier._single_flight)

    run(main())


def test_a_refused_call_does_not_fail_the_waiting_ones(models: list[Model]) -> None:
    scorer = FakeClassifier(models[0])
    scorer.full_for = {"refused"}
    first, second = simulate(scorer, Call(["a"], caller="refused"), Call(["a"], start=0.5))
    assert isinstance(first[0], OverloadedError)
    assert answered(second) == [pytest.approx(1.1)]


def test_calls_with_a_text_that_always_fails_do_not_fail_one_after_the_other(models: list[Model]) -> None:
    scorer = FakeClassifier(models[0])
    scorer.broken = {"a"}
    first, *others = simulate(scorer, Call(["a"]), *(Call(["a"], start=0.5, caller=caller) for caller in "xyz"))
    assert [answered(each) for each in (first, *others)] == [[None]] * 4
    assert [first[1], *(each[1] for each in others)] == [1.0, 2.0, 2.0, 2.0]


def test_a_call_with_a_short_deadline_does_not_fail_the_waiting_ones(models: list[Model]) -> None:
    first, second = simulate(FakeClassifier(models[0]), Call(["a"], deadline=0.7), Call(["a"], start=0.5, deadline=9))
    assert answered(first) == [None]
    assert answered(second) == [pytest.approx(1.1)]


def test_a_waiting_call_ends_at_its_own_deadline(models: list[Model]) -> None:
    first, second = simulate(FakeClassifier(models[0]), Call(["a"]), Call(["a"], start=0.2, deadline=0.5))
    assert answered(first) == [pytest.approx(1.1)]
    assert isinstance(second[0], Answer)
    assert isinstance(second[0].outcomes[0], DeadlineError)
    assert second[1] == 0.5


def test_a_reader_does_not_wait_for_the_batch_lane(models: list[Model]) -> None:
    scorer = FakeClassifier(models[0])
    job, reader, later_job = simulate(
        scorer, Call(["a"], lane=BATCH), Call(["a"], start=1.0, lane=ONLINE), Call(["a"], start=1.5, lane=BATCH)
    )
    assert reader[1] == 2.0
    assert later_job[1] == 2.0  # It waits for the first answer.
    assert job[1] == 10.0
    assert len(scorer.calls) == 2


def test_a_reader_does_not_wait_behind_the_work_of_another_caller(models: list[Model]) -> None:
    scorer = FakeClassifier(models[0])
    simulate(
        scorer,
        Call(["long text " * 20], caller="busy"),
        Call(["a"], start=0.1, caller="busy"),
        Call(["a"], start=0.2, caller="reader"),
        Call(["a"], start=0.3, caller="busy"),
    )
    assert [caller for texts, _, caller in scorer.calls if texts == ["a"]] == ["busy", "reader"]


def test_a_version_that_is_replaced_meanwhile_answers_all_texts_of_a_call(models: list[Model]) -> None:
    scorer = FakeClassifier(*models[:2])
    first, second = simulate(scorer, Call(["a"]), Call(["a", "bb"], start=0.5))
    assert answered(first) == [pytest.approx(1.2)]
    assert answered(second) == pytest.approx([1.2, 2.2])
    assert isinstance(second[0], Answer)
    assert second[0].model is models[1]


TIMES = st.integers(0, 40).map(lambda number: number / 8)
CALLS = st.lists(
    st.builds(
        Call,
        st.lists(st.sampled_from(["a", "bb", "ccc"]), min_size=1, max_size=4),
        start=TIMES,
        lane=st.sampled_from(Lane),
        caller=st.sampled_from(["", "other", "refused"]),
        deadline=st.sampled_from([math.inf, 3.0, 4.0, 20.0]),
        end=st.sampled_from([math.inf, math.inf, 2.0, 5.0]),
    ),
    min_size=1,
    max_size=8,
)


@given(CALLS)
@settings(max_examples=150)
def test_a_call_fails_for_reasons_of_its_own_only(models: list[Model], calls: list[Call]) -> None:
    scorer = FakeClassifier(models[0])
    scorer.full_for = {"refused"}
    for call, (outcome, ended) in zip(calls, simulate(scorer, *calls), strict=True):
        assert ended <= max(call.start, min(call.deadline, call.end))
        if isinstance(outcome, asyncio.CancelledError):
            assert ended >= call.end
        elif isinstance(outcome, OverloadedError):
            assert call.caller == "refused"
        elif isinstance(outcome, DeadlineError):
            assert ended >= call.deadline
        else:
            assert isinstance(outcome, Answer)
            for text, each in zip(call.texts, outcome.outcomes, strict=True):
                if isinstance(each, Classified):
                    assert each.probabilities[0] == value_of(text)
                elif isinstance(each, DeadlineError):
                    assert ended >= call.deadline
                else:
                    assert call.caller == "refused"
    assert not scorer.repeated


@given(
    st.lists(
        st.builds(Call, st.just(["a"]), start=TIMES, lane=st.sampled_from(Lane), caller=st.sampled_from("xyz")), max_size=9
    )
)
def test_no_call_takes_longer_than_its_own_calculation(models: list[Model], calls: list[Call]) -> None:
    for call, (outcome, ended) in zip(calls, simulate(FakeClassifier(models[0]), *calls), strict=True):
        assert isinstance(outcome, Answer)
        assert ended <= call.start + SECONDS[call.lane]
