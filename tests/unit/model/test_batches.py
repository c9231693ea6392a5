"""Batches contain every row once and respect the limit of padded tokens."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_model.batches import encode, make_batches, pad_batch
from undertone_model.testing import tiny_tokenizer

IDS = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=40), max_size=40)
SEEDS = st.none() | st.integers(0, 2**32 - 1)


def generator(seed: int | None) -> np.random.Generator | None:
    return None if seed is None else np.random.default_rng(seed)


@settings(max_examples=60, deadline=None)
@given(ids=IDS, limit=st.integers(1, 200), seed=SEEDS)
def test_batches_contain_every_row_once_within_the_limit(ids: list[list[int]], limit: int, seed: int | None) -> None:
    batches = list(make_batches(ids, limit, random=generator(seed)))
    assert sorted(row for batch in batches for row in batch.rows.tolist()) == list(range(len(ids)))
    assert all(batch.input_ids.size <= limit or len(batch.rows) == 1 for batch in batches)


@settings(max_examples=60, deadline=None)
@given(ids=IDS, limit=st.integers(1, 200), seed=SEEDS)
def test_ids_and_mask_match_the_row(ids: list[list[int]], limit: int, seed: int | None) -> None:
    for batch in make_batches(ids, limit, random=generator(seed)):
        assert batch.input_ids.dtype == batch.attention_mask.dtype == np.int32
        assert batch.input_ids.shape == batch.attention_mask.shape
        assert batch.input_ids.shape[1] == max(len(ids[row]) for row in batch.rows)
        for row, row_ids, mask in zip(batch.rows, batch.input_ids, batch.attention_mask, strict=True):
            padding = [0] * (batch.input_ids.shape[1] - len(ids[row]))
            assert row_ids.tolist() == ids[row] + padding
            assert mask.tolist() == [1] * len(ids[row]) + padding


@settings(max_examples=30, deadline=None)
@given(ids=IDS.filter(bool), seed=SEEDS, data=st.data())
def test_rows_may_be_omitted_or_repeated(ids: list[list[int]], seed: int | None, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(ids) - 1), max_size=60))
    batches = make_batches(ids, 100, np.array(rows, np.int64), generator(seed))
    assert sorted(row for batch in batches for row in batch.rows.tolist()) == sorted(rows)


def test_longest_rows_are_first_and_padding_is_small() -> None:
    lengths = np.random.default_rng(0).integers(3, 100, 200)
    ids = [[1] * length for length in lengths]
    batches = list(make_batches(ids, 1000))
    assert [batch.input_ids.shape[1] for batch in batches] == sorted((b.input_ids.shape[1] for b in batches), reverse=True)
    assert sum(batch.input_ids.size for batch in batches) < 1.1 * lengths.sum()


def test_seed_determines_the_shuffled_batches_and_padding_is_small() -> None:
    lengths = np.random.default_rng(0).integers(3, 100, 200)
    ids = [[1] * length for length in lengths]

    def rows(seed: int) -> list[list[int]]:
        return [batch.rows.tolist() for batch in make_batches(ids, 1000, random=np.random.default_rng(seed))]

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)
    assert sum(batch.input_ids.size for batch in make_batches(ids, 1000, random=np.random.default_rng(1))) < 1.4 * lengths.sum()


def test_padding_is_zero() -> None:
    batch = pad_batch([[7], [8, 9]], [1, 0])
    assert batch.rows.tolist() == [1, 0]
    assert batch.input_ids.tolist() == [[8, 9], [7, 0]]
    assert batch.attention_mask.tolist() == [[1, 1], [1, 0]]


def test_long_texts_are_truncated_and_the_tokenizer_is_unchanged() -> None:
    tokenizer = tiny_tokenizer()
    ids = encode(tokenizer, ["the sea", "rain " * 50], max_tokens=10)
    start, end = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    assert [len(row) for row in ids] == [4, 10]
    assert all(row[0] == start and row[-1] == end for row in ids)
    assert tokenizer.truncation is None
