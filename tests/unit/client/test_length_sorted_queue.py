"""The choice of paragraphs that share a call."""

from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.length_sorted_queue import CallBounds, LengthSortedQueue, QueuedParagraph
from undertone_client.settings import Settings
from undertone_client.values import Paragraph, ServiceLimits

LENGTHS = st.lists(st.integers(0, 400), min_size=1, max_size=80)


def filled(lengths: list[int], bounds: CallBounds) -> LengthSortedQueue:
    queue = LengthSortedQueue(bounds)
    for number, length in enumerate(lengths):
        queue.add(QueuedParagraph(length, number, length + 16, Paragraph("x" * length)))
    return queue


@settings(max_examples=80, deadline=None)
@given(LENGTHS, st.integers(1, 20), st.integers(1, 1000), st.integers(1, 2000))
def test_every_paragraph_is_taken_once_within_the_bounds_and_the_oldest_first(
    lengths: list[int], items: int, characters: int, size: int
) -> None:
    queue = filled(lengths, CallBounds(items, characters, size))
    waiting = set(range(len(lengths)))
    while queue:
        taken = queue.take()
        numbers = {entry.number for entry in taken}
        assert min(waiting) in numbers
        assert numbers <= waiting
        waiting -= numbers
        assert len(taken) <= items
        if len(taken) > 1:
            assert sum(entry.characters for entry in taken) <= characters
            assert sum(entry.bytes for entry in taken) <= size
    assert not waiting


@settings(max_examples=80, deadline=None)
@given(LENGTHS, st.integers(1, 20))
def test_a_call_takes_neighbours_in_length(lengths: list[int], items: int) -> None:
    queue = filled(lengths, CallBounds(items, 10**6, 10**6))
    taken = [entry.characters for entry in queue.take()]
    skipped = [length for length in lengths if min(taken) < length < max(taken)]
    assert len(skipped) <= len([length for length in taken if min(taken) < length < max(taken)])
    assert len(taken) == min(items, len(lengths))


def test_the_closest_lengths_join_the_oldest_paragraph() -> None:
    queue = filled([100, 10, 101, 300, 98, 11], CallBounds(3, 10**6, 10**6))
    assert sorted(entry.characters for entry in queue.take()) == [98, 100, 101]
    assert sorted(entry.characters for entry in queue.take()) == [10, 11, 300]


def test_the_smaller_of_settings_and_limits_applies_and_0_is_unlimited() -> None:
    settings = Settings(batch_items=32)
    assert CallBounds.from_settings(settings, ServiceLimits(0, 0, 8, 5000)) == CallBounds(8, settings.batch_characters, 5000)
    assert CallBounds.from_settings(settings, ServiceLimits(0, 0, 0, 0)).items == 32
