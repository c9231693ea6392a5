"""Which batch is made, and whose turn it is: pure, and driven by histories that hypothesis makes up."""

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.batching import Bounds, Lane
from undertone_sidecar.batching.choice import choose
from undertone_sidecar.batching.line import Line
from undertone_sidecar.batching.schedule import Schedule, apart
from undertone_sidecar.batching.turns import Turns
from undertone_sidecar.chunks import windows
from undertone_sidecar.shapes import Lengths

LENGTHS = Lengths.up_to(512)
SIGMA = math.log(340 / 91) / 1.645


def yes(_: object) -> bool:
    return True


def paragraph(choose_: random.Random) -> int:
    """Tokens of a paragraph of a library: log-normal with the published quantiles."""
    return min(1031, max(3, round(choose_.lognormvariate(math.log(91), SIGMA))))


def library(choose_: random.Random) -> list[int]:
    """Tokens of one paragraph's sequences: cut at 512, as the pipeline does."""
    return [window.stop - window.start + 2 for window in windows(paragraph(choose_) - 2, width=510, overlap=64)]


def test_the_histogram_is_the_published_one() -> None:
    choose_ = random.Random(0)
    sizes = sorted(paragraph(choose_) for _ in range(20_000))
    assert sum(sizes) / len(sizes) == pytest.approx(125, rel=0.03)
    assert sizes[len(sizes) // 2] == pytest.approx(91, rel=0.03)
    assert sizes[len(sizes) * 95 // 100] == pytest.approx(340, rel=0.03)


@pytest.mark.parametrize("overhead", [0.0, 64.0, 128.0])
def test_padding_at_saturation_is_at_most_eight_hundredths(overhead: float) -> None:
    choose_, line = random.Random(1), Line[int](16 * 2048)
    tokens = padded = 0
    for round_ in range(400):
        while line.tokens < 16 * 2048:
            for size in library(choose_):
                line.join(size, length=LENGTHS.fit(size), version=1)
        choice = choose(line, budget=2048, most_rows=2048, waste=overhead, wanted=yes)
        assert choice is not None
        assert choice.padded_tokens <= 2048
        for row in choice.rows:
            line.leave(row)
        if round_ >= 50:
            tokens += sum(row.payload for row in choice.rows)
            padded += choice.padded_tokens
    assert padded / tokens <= 1.08


batches = st.lists(st.lists(st.tuples(st.sampled_from(LENGTHS.steps), st.integers(1, 2)), max_size=20), max_size=30)


@given(batches, st.integers(16, 2048), st.integers(1, 8), st.floats(0, 200), st.integers(0, 3000))
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_or_taken_twice_and_nobody_starves(
    arrivals: list[list[tuple[int, int]]], budget: int, most_rows: int, waste: float, patience: int
) -> None:
    line = Line[int](patience)
    number = 0
    taken: list[int] = []
    pending = list(arrivals)
    while pending or len(line):
        for length, version in pending.pop(0) if pending else ():
            line.join(number, length=length, version=version)
            number += 1
        waiting = list(line)
        overdue = [entry for entry in waiting if line.is_overdue(entry)]
        choice = choose(line, budget=budget, most_rows=most_rows, waste=waste, wanted=yes)
        if choice is None:
            assert not waiting
            continue
        rows = choice.rows
        assert choice.length == max(row.length for row in rows)
        assert len(rows) == 1 or (choice.padded_tokens <= budget and len(rows) <= most_rows)
        assert len({row.version for row in rows}) == 1
        # The oldest always goes, and the overdue before all others, in their order, as long as there is room.
        assert rows[0] is waiting[0]
        assert overdue == waiting[: len(overdue)]
        first = [row for row in rows if row in overdue]
        ours = [entry for entry in overdue if entry.version == rows[0].version]
        left = [entry for entry in ours if entry not in rows]
        if left:
            before = ours.index(left[0])
            longest = max(row.length for row in ours[: before + 1])
            assert (before + 1) * longest > budget or before + 1 > most_rows
        if not overdue:
            assert sum(choice.length - row.length for row in rows) <= waste
        assert first == sorted(first, key=lambda row: row.number)
        for row in rows:
            line.leave(row)
        taken += [row.payload for row in rows]
    assert sorted(taken) == list(range(number))
    assert line.tokens == 0


def test_the_overdue_keep_their_order_across_versions() -> None:
    line = Line[int](0)
    line.join(-1, length=64, version=1)
    for number, (length, version) in enumerate([(24, 2), (16, 1), (16, 2), (24, 2)]):
        line.join(number, length=length, version=version)
    line.leave(next(iter(line)))
    while not all(line.is_overdue(entry) for entry in line):
        line.join(99, length=64, version=1)
        line.leave(list(line)[-1])
    choice = choose(line, budget=1000, most_rows=2, waste=16, wanted=yes)
    assert choice is not None
    assert [row.payload for row in choice.rows] == [0, 2]


def test_a_rare_length_waits_no_longer_than_the_bound() -> None:
    """A long paragraph behind others, with short ones coming all the time that go better together."""
    line = Line[str](1000)
    for _ in range(3):
        line.join("short", length=16, version=1)
    line.join("long", length=512, version=1)
    overtaken = 0
    while True:
        while line.tokens < 2000:
            line.join("young", length=16, version=1)
        choice = choose(line, budget=256, most_rows=256, waste=0, wanted=yes)
        assert choice is not None
        for row in choice.rows:
            line.leave(row)
        if any(row.payload == "long" for row in choice.rows):
            break
        overtaken += sum(row.length for row in choice.rows if row.payload == "young")
    assert overtaken <= 1000 + 256


def test_who_is_not_wanted_leaves_and_makes_room() -> None:
    line = Line[int](10_000)
    for number in range(20):
        line.join(number, length=64, version=1)
    choice = choose(line, budget=640, most_rows=640, waste=0, wanted=lambda number: number % 2 == 1)
    assert choice is not None
    assert [row.payload for row in choice.rows] == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]


def test_lengths_that_are_dearer_together_than_apart_are_kept_apart() -> None:
    line = Line[int](10_000)
    for length in (32, 96, 352):
        line.join(length, length=length, version=1)
    for waste, expected in ((0, [32]), (64, [32, 96]), (700, [32, 96, 352])):
        choice = choose(line, budget=2048, most_rows=2048, waste=waste, wanted=yes)
        assert choice is not None
        assert sorted(row.payload for row in choice.rows) == expected


calls = st.lists(st.tuples(st.booleans(), st.integers(16, 2048)), min_size=1, max_size=200)


@given(calls, st.floats(0.05, 0.5))
@settings(max_examples=40, deadline=None)
def test_batch_work_gets_its_share_and_online_work_the_rest(history: list[tuple[bool, int]], share: float) -> None:
    turns = Turns(share=share, budget=2048)
    for _, tokens in history:  # quiet hours, which must not be held against batch work
        turns.served(Lane.BATCH, tokens, batch_waits=True)
    served = {Lane.ONLINE: 0, Lane.BATCH: 0}
    for online, tokens in history * 5:
        lane = turns.next(online=online, batch=True)
        assert lane is not None
        assert online or lane is Lane.BATCH
        served[lane] += tokens
        turns.served(lane, tokens, batch_waits=True)
    total = sum(served.values())
    assert served[Lane.BATCH] >= share * total - 6 * 2048
    if all(online for online, _ in history):
        assert served[Lane.BATCH] <= share * total + 2 * 2048


def test_batch_work_that_did_not_wait_has_nothing_to_claim() -> None:
    turns = Turns(share=0.5, budget=2048)
    for _ in range(100):
        turns.served(Lane.ONLINE, 2048, batch_waits=False)
    assert turns.next(online=True, batch=True) is Lane.ONLINE
    assert turns.next(online=False, batch=False) is None


def test_batch_calls_are_short_while_online_work_comes_and_full_when_it_has_ceased() -> None:
    schedule = Schedule[int](Bounds.token_budget(2048, calls=1, waiting=10**6, batch_share=0.1))
    for number in range(4000):
        schedule.join(number, lane=Lane.BATCH, length=64, version=1)

    def next_rows() -> tuple[Lane, int]:
        call = schedule.next(yes)
        assert call is not None
        schedule.start(call)
        return call.lane, len(call.choice.rows)

    assert next_rows() == (Lane.BATCH, 32)
    schedule.join(-1, lane=Lane.ONLINE, length=64, version=1)
    assert next_rows() == (Lane.ONLINE, 1)
    rows = [next_rows()[1] for _ in range(120)]
    assert rows[0] < 20
    assert rows[-1] == 32
    assert all(earlier <= later for earlier, later in pairwise(rows))


@given(st.floats(0.001, 100), st.lists(st.floats(0, 300), max_size=7), st.integers(0, 3))
def test_calls_end_apart(seconds: float, ends: list[float], idle: int) -> None:
    slots = len(ends) + 1 + idle
    length = apart(seconds, ends, slots=slots)
    assert length >= seconds / 2
    assert all(abs(length - end) >= 0.98 * seconds / slots for end in ends)
    assert not all(abs(seconds - end) >= seconds / slots for end in ends) or length == seconds


@pytest.mark.parametrize("slots", [2, 3, 8])
def test_online_work_finds_an_end_in_each_part_of_a_calls_time(slots: int) -> None:
    """Calls of batch work that began together end one after the other before long."""
    schedule = Schedule[int](Bounds.token_budget(2048, calls=slots, waiting=10**6, batch_share=0.1))
    for _ in range(50):
        schedule.cost.observe(64, 0.114)
        schedule.cost.observe(640, 0.69)
    schedule.join(-1, lane=Lane.ONLINE, length=64, version=1)
    call = schedule.next(yes)
    assert call is not None
    schedule.start(call)
    for number in range(20 * 16 * slots):
        schedule.join(number, lane=Lane.BATCH, length=64, version=1)
    ends, now, ended = [0.0] * slots, 0.0, list[float]()
    for _ in range(4 * slots):
        now, *others = sorted(ends)
        call = schedule.next(yes, ends=[end - now for end in others].copy)
        assert call is not None
        assert call.lane is Lane.BATCH
        schedule.start(call)
        ended.append(now)
        ends = [*others, now + schedule.cost.seconds(call.choice.padded_tokens)]
    longest = schedule.cost.seconds(schedule.cost.overhead * 0.93 / 0.07)
    waits = [later - earlier for earlier, later in pairwise(ended[2 * slots :])]
    assert max(waits) < 1.5 * longest / slots


def rows_of_calls(schedule: Schedule[int], free: int) -> list[int]:
    """Of the calls that fill so many free slots."""
    rows = []
    while free and (call := schedule.next(yes, free=free)):
        schedule.start(call)
        rows.append(len(call.choice.rows))
        free -= 1
    return rows


@pytest.mark.parametrize(
    ("waiting", "free", "rows"),
    [
        (24, 1, [24]),
        (24, 2, [12, 12]),
        (25, 3, [8, 8, 9]),
        (1, 2, [1]),
        (200, 2, [32, 32]),  # enough for a full call each
        (2, 2, [2]),  # less than a call costs beside its tokens is not divided
    ],
)
def test_free_slots_share_what_waits(waiting: int, free: int, rows: list[int]) -> None:
    schedule = Schedule[int](Bounds.token_budget(2048, calls=free, waiting=10**6, batch_share=0.1))
    for _ in range(50):
        schedule.cost.observe(64, 0.214)
        schedule.cost.observe(640, 0.79)
    assert 128 < schedule.cost.overhead < 160
    for number in range(waiting):
        schedule.join(number, lane=Lane.ONLINE, length=64, version=1)
    assert rows_of_calls(schedule, free) == rows
