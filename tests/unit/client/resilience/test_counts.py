"""Counts of calls, as in Table 4 of the paper."""

from dataclasses import fields, replace

import grpc
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from undertone_client import Client, Failure, Score
from undertone_client.resilience import CallCounts
from undertone_client.testing import FakeClassifier, Fault, ItemFault

from tests.unit.support.faults import CANCELLED, EXHAUSTED, INTERNAL, NO_PATIENCE, OK, UNAVAILABLE, no_sleep


@pytest.mark.parametrize("status", [INTERNAL, grpc.StatusCode.INVALID_ARGUMENT])
async def test_a_poisoned_paragraph_is_isolated(service: FakeClassifier, status: grpc.StatusCode) -> None:
    service.poison = {"paragraph 5": Fault(status, "poisoned")}
    texts = [f"paragraph {index}" for index in range(8)]
    async with Client(service.target) as client:
        outcomes = await client.classify_batch(texts)
        counts = client.state().counts
    assert [isinstance(outcome, Score) for outcome in outcomes] == [index != 5 for index in range(8)]
    failure = outcomes[5]
    assert isinstance(failure, Failure)
    assert (failure.status, failure.reason, failure.attempts) == (status, "poisoned", 4)
    assert counts.errors == 4 == counts.recovered + 1  # the calls that were split, and the last one
    assert len(service.calls) == 7  # 8, then 4, 4, 2, 1, 1, 2


async def test_attempts_retries_and_failures_are_counted(service: FakeClassifier) -> None:
    service.faults.extend([Fault(UNAVAILABLE), Fault(CANCELLED), Fault(OK), *[Fault(EXHAUSTED)] * 5])
    async with Client(service.target, settings=NO_PATIENCE, sleep=no_sleep) as client:
        await client.classify_batch(["one", "two"])
        await client.classify_batch(["three", "four"])
        counts = client.state().counts
    attempts = {"OK": 1, "UNAVAILABLE": 1, "CANCELLED": 1, "RESOURCE_EXHAUSTED": 5}
    assert counts == CallCounts(attempts, retried=6, recovered=2, failed_paragraphs={"RESOURCE_EXHAUSTED": 2})
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
def test_counts_are_added_and_subtracted_by_field_and_survive_json(left: CallCounts, right: CallCounts) -> None:
    assert (left + right) - right == left
    assert left - left == CallCounts()
    assert (left + right).errors == left.errors + right.errors
    assert sum((left, right), CallCounts()) == left + right
    assert CallCounts.from_json(left.to_json()) == left
    assert left.to_json()["handled"] == left.recovered


async def test_refusals_are_recovered_only_if_their_paragraphs_are_scored(service: FakeClassifier) -> None:
    service.item_faults = {"two": ItemFault(EXHAUSTED, times=2), "three": ItemFault(UNAVAILABLE)}
    async with Client(service.target, sleep=no_sleep) as client:
        await client.classify_batch(["one", "two"])
        assert client.state().counts.recovered == 2
        await client.classify_batch(["one", "three"])
        assert client.state().counts.recovered == 2
