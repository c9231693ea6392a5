import numpy as np
import pytest
from undertone_bench.report import Goal
from undertone_bench.served import Batch, presorted
from undertone_bench.spread import Spread, quantile
from undertone_bench.work import operations
from undertone_protos.v1.contract_pb2 import Architecture


def test_a_spread_is_the_median_and_the_extremes() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)
    assert f"{Spread.of([5.0, 1.0, 2.0]):.1f}" == "2.0 (1.0 to 5.0)"
    assert f"{Spread.of([2.0, 2.0]):.1f}" == "2.0"


def test_ratios_are_of_each_round() -> None:
    assert Spread.of_ratios([10.0, 100.0, 30.0], [1.0, 10.0, 2.0]) == Spread(10.0, 10.0, 15.0)
    with pytest.raises(ValueError, match="longer"):
        Spread.of_ratios([1.0], [1.0, 2.0])


def test_quantiles_lie_between_neighbours() -> None:
    assert quantile([4.0, 1.0, 2.0, 3.0], 0.5) == pytest.approx(2.5)
    assert quantile([7.0], 0.99) == 7.0


@pytest.mark.parametrize(
    ("goal", "met"), [(Goal("at least", 2.0), True), (Goal("at least", 2.1), False), (Goal("at most", 1.9), False)]
)
def test_goals_are_bounds_on_the_median(goal: Goal, met: bool) -> None:
    assert goal.is_met(Spread(2.0, 0.0, 9.0)) is met


def test_operations_are_those_of_the_matrices_and_of_attention() -> None:
    bert = Architecture(layers=12, hidden_size=768, intermediate_size=3072)
    parameters = 12 * (4 * 768 * 768 + 2 * 768 * 3072)
    one = operations(bert, [128])
    # Two for each weight and token, but for the last layer's, of which most tokens need two matrices of twelve.
    assert one == pytest.approx(2 * parameters * 128 * (11 + 2 / 12) / 12, rel=0.05)
    assert operations(bert, [128, 128]) == 2 * one
    assert operations(bert, [256]) > 2 * one  # attention grows with the square


def test_presorted_batches_hold_everything_within_the_budget() -> None:
    sequences = [np.full(length, length, np.int32) for length in (5, 300, 7, 6, 120, 7, 2000)]
    batches = presorted(sequences, 512)
    assert sum(batch.tokens for batch in batches) == sum(map(len, sequences))
    assert all(batch.input_ids.size <= 512 for batch in batches[:-1])
    assert batches[-1].input_ids.shape == (1, 2000)  # alone, as it is beyond the budget
    assert sum(int(batch.attention_mask.sum()) for batch in batches) == sum(map(len, sequences))


def test_presorted_batches_are_cut_where_padding_would_cost_more_than_a_call() -> None:
    sequences = [np.zeros(length, np.int32) for length in (500, 10, 480, 12, 11)]
    assert [batch.input_ids.shape for batch in presorted(sequences, 2048)] == [(3, 12), (2, 500)]


def test_a_batch_is_padded_to_the_longest_or_further() -> None:
    rows = [np.array([1, 2, 3], np.int32), np.array([4], np.int32)]
    assert Batch.of(rows).attention_mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert Batch.of(rows, 5).input_ids.tolist() == [[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]]
