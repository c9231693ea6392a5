"""Tables of scores: Hypothesis strategies, and a large example."""

import random
from collections.abc import Sequence
from dataclasses import replace
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
def independent_probabilities(draw: st.DrawFn) -> tuple[float | None, ...]:
    """Multiples of 1/64 of a model with at least one of the labels."""
    values = draw(st.lists(st.none() | st.integers(0, 64), min_size=len(LABELS), max_size=len(LABELS)).filter(any_known))
    return tuple(None if value is None else value / 64 for value in values)


def any_known(values: Sequence[int | None]) -> bool:
    """Whether a model has one of the labels."""
    return any(value is not None for value in values)


def above(probabilities: Sequence[float | None], thresholds: Sequence[float] = (0.25, 0.5, 0.75)) -> tuple[str, ...]:
    """The labels whose probability reaches its threshold."""
    triples = zip(LABELS, probabilities, thresholds, strict=True)
    return tuple(label for label, value, threshold in triples if value is not None and value >= threshold)


@st.composite
def tables(draw: st.DrawFn, *, max_rows: int = 12, multi_label: bool = False) -> list[Scored]:
    """Rows with distinct ids. With `multi_label`, some are of a multi-label model."""
    ids = draw(st.lists(st.sampled_from([f"id-{number:02d}" for number in range(max_rows)]), unique=True))
    rows = _rows(draw, ids)
    if not multi_label:
        return rows
    return [
        replace(row, probabilities=(values := draw(independent_probabilities())), above_threshold=above(values), version=3)
        if draw(st.booleans())
        else row
        for row in rows
    ]


def _rows(draw: st.DrawFn, ids: Sequence[str]) -> list[Scored]:
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
            flags=draw(st.sampled_from([None, "", "language", "language,unreadable"])),
        )
        for ident in ids
    ]


letters = st.lists(
    st.builds(
        Failed,
        st.none() | st.sampled_from(["id-00", "id-01", "other"]),
        st.sampled_from(["INTERNAL", "INVALID_ARGUMENT"]),
        st.sampled_from(["x", "y"]),
        st.integers(0, 5),
        st.none() | times,
    ),
    max_size=4,
)

references = st.builds(Reference, tables(), letters, tables())
mixed_references = st.builds(Reference, tables(multi_label=True), letters, tables(multi_label=True))


def large_example(*, multi_label: bool = False) -> Reference:
    """60 scores of two models over 20 days, dead letters, and 50 older scores.

    With `multi_label`, one of the models is multi-label.
    """
    numbers = random.Random(7)

    def row(ident: int, version: int) -> Scored:
        cuts = sorted(numbers.choices(range(65), k=len(LABELS) - 1))
        values = [(high - low) / 64 for low, high in zip([0, *cuts], [*cuts, 64], strict=True)]
        scored = Scored(
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
            flags=numbers.choice([None, "", "", "language"]),
        )
        if not multi_label or version == 1:
            return scored
        independent = tuple(numbers.choice([None, number / 64]) for number in numbers.choices(range(65), k=len(LABELS) - 1))
        independent = (numbers.randrange(65) / 64, *independent)
        return replace(scored, probabilities=independent, above_threshold=above(independent))

    letters = [Failed("id-00", attempts=5), Failed(None, failed_at=None), Failed("x", "INTERNAL", "y", 2, START)]
    newer = [row(ident, numbers.randint(1, 2)) for ident in range(60)]
    return Reference(newer, letters, [row(ident, 1) for ident in range(10, 60)])
