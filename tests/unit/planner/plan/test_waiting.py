import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_planner.plan.lengths import Lengths
from undertone_planner.plan.waiting import erlang_c, p99_seconds

from tests.unit.planner.support.plans import LENGTHS, setting

SPEED = setting().speed


def test_erlang_c_is_that_of_textbooks() -> None:
    assert erlang_c(1, 0.7) == pytest.approx(0.7)  # M/M/1: the utilization
    assert erlang_c(2, 0.75) == pytest.approx(0.642857, rel=1e-5)  # 2 rho^2 / (1 + rho)
    assert erlang_c(4, 0.0) == 0


def test_without_load_a_call_takes_its_own_time() -> None:
    assert p99_seconds(SPEED, LENGTHS, 0.0) == pytest.approx(0.1)
    lengths = Lengths.of({100: 95, 400: 5})
    assert p99_seconds(SPEED, lengths, 0.0) == pytest.approx(0.4)


def test_an_overloaded_pod_has_no_p99() -> None:
    assert math.isinf(p99_seconds(SPEED, LENGTHS, 20.0))


@settings(max_examples=20)
@given(load=st.floats(0.01, 0.9), more=st.floats(1.0, 1.1))
def test_more_calls_never_wait_less(load: float, more: float) -> None:
    lengths = Lengths.paper()
    capacity = SPEED.reader_rate(lengths)
    few, many = (p99_seconds(SPEED, lengths, capacity * share) for share in (load, load * more))
    assert many >= few * (1 - 1e-6)


def test_beside_a_batch_a_reader_waits_for_a_call_of_the_batch_lane() -> None:
    alone, beside = (p99_seconds(SPEED, LENGTHS, 0.001, busy_seconds=seconds) for seconds in (0.0, 2.0))
    # The first of two calls ends within 90 % of its time with a probability of 99 %.
    assert beside - alone == pytest.approx(0.9 * 2.0, rel=0.06)
