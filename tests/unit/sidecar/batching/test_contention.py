"""How much calls at once slow each other down."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_sidecar.batching.contention import Contention


def add_in_turns(contention: Contention, factor: float, *, turns: int = 20, drift: float = 1.0) -> None:
    noise = random.Random(1)
    for turn in range(turns):
        for _ in range(5):
            ratio = drift * (factor if turn % 2 else 1.0) * noise.uniform(0.95, 1.05)
            contention.add(among_many=bool(turn % 2), ratio=ratio, drift=drift)


@pytest.mark.parametrize("factor", [1.0, 1.3, 2.0])
def test_calls_in_turns_show_the_contention(factor: float) -> None:
    contention = Contention(2.0)
    add_in_turns(contention, factor)
    assert contention.factor == pytest.approx(factor, rel=0.06)


def test_a_model_server_that_becomes_slower_is_not_contention() -> None:
    contention = Contention(2.0)
    add_in_turns(contention, 1.0)
    for _ in range(4):
        contention.add(among_many=True, ratio=10.0, drift=1.0)
    for _ in range(4):
        contention.add(among_many=False, ratio=1.0, drift=10.0)
    assert contention.factor < 1.1


def test_contention_that_cannot_be_measured_is_forgotten() -> None:
    contention = Contention(2.0)
    add_in_turns(contention, 2.0, turns=21)
    before = contention.factor
    for _ in range(1000):
        contention.add(among_many=False, ratio=1.0, drift=1.0)
    assert before > 1.8
    assert contention.factor < 1.4


@given(st.lists(st.tuples(st.booleans(), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))))
def test_the_factor_keeps_its_bounds(calls: list[tuple[bool, float, float]]) -> None:
    contention = Contention(2.0)
    for among_many, ratio, drift in calls:
        contention.add(among_many=among_many, ratio=ratio, drift=drift)
        assert 1 <= contention.factor <= 2
