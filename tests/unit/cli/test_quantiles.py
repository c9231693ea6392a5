import math

from hypothesis import given
from hypothesis import strategies as st
from undertone_cli.quantiles import quantile


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.floats(0, 1))
def test_a_quantile_is_the_smallest_value_that_the_share_does_not_exceed(values: list[float], share: float) -> None:
    found = quantile(values, share)
    rank = max(1, math.ceil(share * len(values)))
    assert sum(value <= found for value in values) >= rank
    assert sum(value < found for value in values) < rank


def test_there_is_no_quantile_without_values() -> None:
    assert math.isnan(quantile([], 0.5))


def test_quantiles_are_values_of_the_sample() -> None:
    assert [quantile([3, 1, 2, 4], share) for share in (0, 0.25, 0.5, 0.51, 1)] == [1, 1, 2, 3, 4]
