from pathlib import Path

import numpy as np
import pytest
from undertone_bench.errors import BenchError
from undertone_bench.models import Batch, BenchModel, optimal_batches


def test_optimal_batches_hold_all_sequences_within_the_budget() -> None:
    sequences = [np.full(length, length, np.int32) for length in (5, 300, 7, 6, 120, 7, 2000)]
    batches = optimal_batches(sequences, 512)
    assert sum(batch.tokens for batch in batches) == sum(map(len, sequences))
    assert all(batch.input_ids.size <= 512 for batch in batches[:-1])
    assert batches[-1].input_ids.shape == (1, 2000)  # a single sequence may exceed the budget
    assert sum(int(batch.attention_mask.sum()) for batch in batches) == sum(map(len, sequences))


def test_optimal_batches_split_where_padding_costs_more_than_a_call() -> None:
    sequences = [np.zeros(length, np.int32) for length in (500, 10, 480, 12, 11)]
    assert [batch.input_ids.shape for batch in optimal_batches(sequences, 2048)] == [(3, 12), (2, 500)]


def test_a_batch_is_padded_to_its_longest_sequence_or_further() -> None:
    rows = [np.array([1, 2, 3], np.int32), np.array([4], np.int32)]
    assert Batch.of(rows).attention_mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert Batch.of(rows, 5).input_ids.tolist() == [[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]]


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"no version folder with a contract\.json"):
        BenchModel.find(str(tmp_path))
