"""Waves take every bucket once, in order, and stay near their size."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_batch.waves import LEAST_TASK_ROWS, TASK_ROWS, Wave, waves


@given(st.dictionaries(st.integers(0, 63), st.integers(0, 1000)), st.integers(1, 2000))
@settings(max_examples=50, deadline=None)
def test_every_bucket_is_in_one_wave(to_score: dict[int, int], rows: int) -> None:
    cut = list(waves(to_score, rows))
    assert [bucket for wave in cut for bucket in wave.buckets] == sorted(to_score)
    for wave in cut:
        assert wave.paragraphs == sum(to_score[bucket] for bucket in wave.buckets)
        assert wave.paragraphs <= rows or len(wave.buckets) == 1 or sum(to_score[b] > 0 for b in wave.buckets) == 1
    for wave, following in itertools.pairwise(cut):
        assert wave.paragraphs + to_score[following.buckets[0]] > rows


def test_nothing_to_do_is_no_wave() -> None:
    assert list(waves({}, 100)) == []


@pytest.mark.parametrize(
    ("paragraphs", "slots", "tasks"),
    [
        (0, 8, 1),
        (LEAST_TASK_ROWS - 1, 8, 1),
        (3 * LEAST_TASK_ROWS, 8, 3),
        (8 * TASK_ROWS, 8, 8),
        (8 * TASK_ROWS + 1, 8, 16),
        (100 * TASK_ROWS, 1, 100),
    ],
)
def test_tasks_fill_the_slots_evenly(paragraphs: int, slots: int, tasks: int) -> None:
    assert Wave((0,), paragraphs).tasks(slots) == tasks
