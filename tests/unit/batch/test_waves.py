import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_batch.waves import MAX_TASK_ROWS, MIN_TASK_ROWS, Wave, divide


@given(st.dictionaries(st.integers(0, 63), st.integers(0, 1000)), st.integers(1, 2000))
@settings(max_examples=50, deadline=None)
def test_every_bucket_is_in_one_wave_of_about_the_requested_size(to_score: dict[int, int], wave_rows: int) -> None:
    waves = list(divide(to_score, wave_rows))
    assert [bucket for wave in waves for bucket in wave.buckets] == sorted(to_score)
    for wave in waves:
        assert wave.paragraphs == sum(to_score[bucket] for bucket in wave.buckets)
        assert wave.paragraphs <= wave_rows or len(wave.buckets) == 1 or sum(to_score[b] > 0 for b in wave.buckets) == 1
    for wave, following in itertools.pairwise(waves):
        assert wave.paragraphs + to_score[following.buckets[0]] > wave_rows


def test_no_buckets_are_no_wave() -> None:
    assert list(divide({}, 100)) == []


@pytest.mark.parametrize(
    ("paragraphs", "slots", "tasks"),
    [
        (0, 8, 1),
        (MIN_TASK_ROWS - 1, 8, 1),
        (3 * MIN_TASK_ROWS, 8, 3),
        (8 * MAX_TASK_ROWS, 8, 8),
        (8 * MAX_TASK_ROWS + 1, 8, 16),
        (100 * MAX_TASK_ROWS, 1, 100),
    ],
)
def test_tasks_use_the_slots_evenly(paragraphs: int, slots: int, tasks: int) -> None:
    assert Wave((0,), paragraphs).task_count(slots) == tasks
