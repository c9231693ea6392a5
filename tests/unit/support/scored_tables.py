"""Tables of scores: Hypothesis strategies, and a large example."""

import random
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from tests.unit.support.score_rows import LABELS, Failed, Scored
from tests.unit.support.view_reference import Reference

START = datetime(2026, 3, 1, tzinfo=UTC)
times = st.integers(0, 20 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))


@st.composite
def probabilities(draw: st.DrawFn) -> tuple[float | None, ...]:
    """Multiples of 1/64, which a float column holds exactly. They sum to 1."""
    cuts = sorted(draw(st.lists(st.integers(0, 64), min_size=len(LABELS) - 1, max_size=len(LABELS) - 1)))
    values = [(high - low) / 64 for low, high in zip([0, *cuts], [*cuts, 64], strict=True)]
    return tuple(None if value == 0 and draw(st.booleans()) else value for value in values)


@st.composite
def tables(draw: st.DrawFn, *, max_rows: int = 12) -> list[Scored]:
    """Rows with distinct ids."""
    ids = draw(st.lists(st.sampled_from([f"id-{number:02d}" for number in range(max_rows)]), unique=True))
    return [
        Scored(
            ident,
            draw(probabilities()),
            draw(st.sampled_from(["a", "b", None])),
            draw(st.none() | st.integers(0, 300)),
            draw(st.sampled_from(["one text", "another text"])),
            draw(st.integers(1, 600)),
            draw(st.booleans()),
            draw(st.integers(1, 2)),
            draw(times),
            draw(st.sampled_from([False, False, False, True])),
        )
        for ident in ids
    ]


references = st.builds(
    Reference,
    tables(),
    st.lists(
        st.builds(
            Failed,
            st.none() | st.sampled_from(["id-00", "id-01", "other"]),
            st.sampled_from(["INTERNAL", "INVALID_ARGUMENT"]),
            st.sampled_from(["x", "y"]),
            st.integers(0, 5),
            st.none() | times,
        ),
        max_size=4,
    ),
    tables(),
)


def large_example() -> Reference:
    """60 scores of two models over 20 days, dead letters, and 50 older scores."""
    numbers = random.Random(7)

    def row(ident: int, version: int) -> Scored:
        cuts = sorted(numbers.choices(range(65), k=len(LABELS) - 1))
        values = [(high - low) / 64 for low, high in zip([0, *cuts], [*cuts, 64], strict=True)]
        return Scored(
            f"id-{ident:02d}",
            tuple(value or numbers.choice([0.0, None]) for value in values),
            numbers.choice(["a", "b", "b", None]),
            numbers.choice([None, ident, ident * 7]),
            numbers.choice(["one text", "another text"]),
            numbers.randint(1, 600),
            numbers.random() < 0.2,
            version,
            START + timedelta(minutes=numbers.randrange(20 * 24 * 60)),
            numbers.random() < 0.2,
        )

    letters = [Failed("id-00", attempts=5), Failed(None, failed_at=None), Failed("x", "INTERNAL", "y", 2, START)]
    newer = [row(ident, numbers.randint(1, 2)) for ident in range(60)]
    return Reference(newer, letters, [row(ident, 1) for ident in range(10, 60)])
