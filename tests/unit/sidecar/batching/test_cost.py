"""The cost model of Predict calls."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.batching.cost import CostModel

seconds_per_call = st.floats(0.0005, 0.05)
seconds_per_token = st.floats(1e-6, 2e-3)


def observe(
    cost: CostModel, a: float, b: float, calls: int, *, seed: int = 0, noise: float = 0.05, outliers: float = 0.0
) -> None:
    """Observes calls that take a + b x tokens. A share of `outliers` takes 20 times as long."""
    rng = random.Random(seed)
    for _ in range(calls):
        tokens = rng.randint(64, 2048)
        seconds = (a + b * tokens) * (1 + rng.uniform(-noise, noise))
        cost.observe(tokens, seconds * (20 if rng.random() < outliers else 1))


@given(seconds_per_call, seconds_per_token, st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_the_model_converges_on_any_machine(a: float, b: float, seed: int) -> None:
    cost = CostModel()
    assert not cost.is_reliable
    observe(cost, a, b, 200, seed=seed)
    assert cost.is_reliable
    for tokens in (256, 1024, 2048):
        assert cost.seconds(tokens) == pytest.approx(a + b * tokens, rel=0.1)
    assert cost.seconds(2048, calls=3) == pytest.approx(3 * a + b * 2048, rel=0.35)


@given(seconds_per_call, seconds_per_token, st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_outliers_do_not_distort_the_model(a: float, b: float, seed: int) -> None:
    cost = CostModel()
    observe(cost, a, b, 300, seed=seed, outliers=0.05)
    assert cost.seconds(2048) == pytest.approx(a + b * 2048, rel=0.5)


def test_the_model_follows_a_lasting_change() -> None:
    cost = CostModel()
    observe(cost, 0.005, 1e-4, 200)
    observe(cost, 0.02, 4e-4, 200, seed=1)
    assert cost.seconds(2048) == pytest.approx(0.02 + 4e-4 * 2048, rel=0.1)
    observe(cost, 0.005, 1e-4, 300, seed=2)
    assert cost.seconds(2048) == pytest.approx(0.005 + 1e-4 * 2048, rel=0.1)


def test_calls_of_one_size_are_enough_to_forecast_that_size() -> None:
    cost = CostModel()
    for _ in range(50):
        cost.observe(1024, 0.5)
    assert cost.seconds(1024) == pytest.approx(0.5, rel=0.02)
    assert 0 < cost.overhead_tokens < 100


@given(st.lists(st.tuples(st.integers(1, 4096), st.floats(0, 100)), max_size=100))
@settings(max_examples=40, deadline=None)
def test_costs_are_never_negative(history: list[tuple[int, float]]) -> None:
    cost = CostModel()
    for tokens, seconds in history:
        cost.observe(tokens, seconds)
        assert cost.seconds(1024) >= 0
        assert cost.overhead_tokens >= 0


def test_the_drift_follows_a_lasting_change_after_four_calls() -> None:
    cost = CostModel()
    observe(cost, 0.005, 1e-4, 200)
    observe(cost, 0.01, 2e-4, 4, seed=1)
    assert cost.seconds(2048) == pytest.approx(0.01 + 2e-4 * 2048, rel=0.15)


def test_nine_of_ten_calls_do_not_exceed_the_cautious_estimate() -> None:
    cost = CostModel()
    observe(cost, 0.005, 1e-4, 200, noise=0.2)
    seconds = 0.005 + 1e-4 * 1024
    assert 1.1 * seconds < cost.cautious_seconds(1024) < 1.25 * seconds
    assert cost.seconds(cost.tokens_within(seconds)) == pytest.approx(seconds)
    assert cost.cautious_seconds(cost.tokens_within(seconds, cautious=True)) == pytest.approx(seconds)


@given(st.floats(0, 100))
def test_a_call_that_exceeds_its_estimate_is_expected_to_take_longer(elapsed: float) -> None:
    cost = CostModel()
    observe(cost, 0.005, 1e-3, 50)
    estimate = cost.seconds(1024)
    remaining = cost.remaining_seconds(1024, elapsed)
    assert remaining == pytest.approx(estimate - elapsed if elapsed < estimate else (elapsed - estimate) / 4)
