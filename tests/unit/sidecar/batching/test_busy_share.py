"""The recent share of the time in which slots were in use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_sidecar.batching.busy_share import BusyShare
from undertone_sidecar.batching.cost import CostModel
from undertone_sidecar.batching.slots import Slots

from tests.unit.support.batcher import predict_call

CALL_SECONDS = 0.5


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans())))
def test_the_share_is_between_0_and_1_and_follows_the_last_period(periods: list[tuple[float, bool]]) -> None:
    share = BusyShare()
    for seconds, busy in periods:
        before = share.after(0.0, busy=busy, call_seconds=CALL_SECONDS)
        share.add(seconds, busy=busy, call_seconds=CALL_SECONDS)
        after = share.after(0.0, busy=busy, call_seconds=CALL_SECONDS)
        assert 0 <= after <= 1
        assert after >= before if busy else after <= before
    share.add(100 * CALL_SECONDS, busy=False, call_seconds=CALL_SECONDS)
    assert share.after(0.0, busy=True, call_seconds=CALL_SECONDS) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("beside", "confidence"), [(1.0, 0.5), (2.0, 0.9)])
def test_a_slot_that_is_idle_needs_less_confidence_only_if_a_further_call_gains_work(beside: float, confidence: float) -> None:
    """One of two slots is in use all the time. Beside another call, a call takes `beside` seconds
    instead of 1 s.
    """
    cost = CostModel(slots=2)
    for _ in range(20):
        for _ in range(4):
            cost.observe(512, 1.0, 1.0)
        for _ in range(4):
            cost.observe(512, beside, 2.0)
    slots = Slots(2, cost)
    now = 0.0
    for _ in range(30):
        call = predict_call(now)
        slots.start(call)
        now += 1.0
        slots.end(call, now)
    assert slots.confidence(2, now) == pytest.approx(confidence, abs=0.01)
    assert slots.confidence(1, now) == 0.9
    assert slots.confidence(1, now + 10.0) == 0.5
