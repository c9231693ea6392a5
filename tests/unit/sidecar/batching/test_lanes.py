"""The fair sharing of the model server between the two lanes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.batching import Lane
from undertone_sidecar.batching.lanes import FairShare

BUDGET = 2048

batches = st.lists(st.tuples(st.booleans(), st.integers(16, BUDGET)), min_size=1, max_size=200)
"""Whether the online lane has requests, and the padded tokens of the next batch."""


@given(batches, st.floats(0.05, 0.5))
@settings(max_examples=40, deadline=None)
def test_the_batch_lane_gets_its_share_and_the_online_lane_the_rest(history: list[tuple[bool, int]], share: float) -> None:
    fair_share = FairShare(share=share, budget=BUDGET)
    for _, tokens in history:  # Batch work while the online lane is empty must not count against the share.
        fair_share.record(Lane.BATCH, tokens, batch_waiting=True)
    served = {Lane.ONLINE: 0, Lane.BATCH: 0}
    for online_waiting, tokens in history * 5:
        lane = fair_share.next_lane(online_waiting=online_waiting, batch_waiting=True)
        assert lane is not None
        assert online_waiting or lane is Lane.BATCH
        served[lane] += tokens
        fair_share.record(lane, tokens, batch_waiting=True)
    total = sum(served.values())
    assert served[Lane.BATCH] >= share * total - 6 * BUDGET
    if all(online_waiting for online_waiting, _ in history):
        assert served[Lane.BATCH] <= share * total + 2 * BUDGET


def test_an_empty_batch_lane_does_not_save_up_capacity() -> None:
    fair_share = FairShare(share=0.5, budget=BUDGET)
    for _ in range(100):
        fair_share.record(Lane.ONLINE, BUDGET, batch_waiting=False)
    assert fair_share.next_lane(online_waiting=True, batch_waiting=True) is Lane.ONLINE


@pytest.mark.parametrize(
    ("online_waiting", "batch_waiting", "lane"),
    [(True, False, Lane.ONLINE), (False, True, Lane.BATCH), (False, False, None)],
)
def test_a_lane_without_requests_is_never_next(online_waiting: bool, batch_waiting: bool, lane: Lane | None) -> None:
    assert FairShare(share=0.5, budget=BUDGET).next_lane(online_waiting=online_waiting, batch_waiting=batch_waiting) is lane
