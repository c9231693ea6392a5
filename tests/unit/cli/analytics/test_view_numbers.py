"""The numbers of each view on DuckDB."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import duckdb
import pytest
from hypothesis import given, settings
from undertone_cli.analytics import VIEWS, Dialect, Period, Renderer

from tests.unit.support.score_rows import LABELS, Failed, Scored, dead_letters_table, scores_table
from tests.unit.support.scored_tables import large_example, references
from tests.unit.support.view_reference import Reference, Row, assert_same_rows


class Views:
    """The views on DuckDB."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("SET TimeZone = 'America/New_York'")

    def load(self, data: Reference) -> None:
        self.connection.register("scores", scores_table(data.scores))
        self.connection.register("dead_letters", dead_letters_table(data.letters))
        self.connection.register("scores_before", scores_table(data.before))

    def create(self, renderer: Renderer) -> None:
        for statement in renderer.statements(comparisons=True):
            self.connection.execute(statement)

    def rows(self, query: str) -> list[Row]:
        rows: list[Row] = self.connection.sql(query).to_arrow_table().to_pylist()
        return rows


@pytest.fixture(scope="module")
def views() -> Iterator[Views]:
    views = Views()
    views.load(Reference([]))
    views.create(Renderer(Dialect.DUCKDB, LABELS))
    yield views
    views.connection.close()


@settings(max_examples=20, deadline=None)
@given(data=references)
def test_all_views_are_as_in_plain_python(views: Views, data: Reference) -> None:
    views.load(data)
    for name in VIEWS:
        assert_same_rows(views.rows(f"FROM {name}"), data.rows(name))


def test_all_views_of_a_large_table_are_as_in_plain_python(views: Views) -> None:
    data = large_example()
    views.load(data)
    for name in VIEWS:
        assert_same_rows(views.rows(f"FROM {name}"), data.rows(name))


@pytest.mark.parametrize("name", VIEWS)
def test_columns_are_those_that_the_file_describes(views: Views, name: str) -> None:
    views.load(Reference([]))
    assert views.connection.sql(f"FROM {name}").columns == list(VIEWS[name].columns)


def test_emotions_by_story_by_hand(views: Views) -> None:
    views.load(
        Reference(
            [
                Scored("1", (0.5, 0.25, 0.25)),
                Scored("2", (0.25, 0.75, 0.0)),
                Scored("3", (1.0, 0.0, 0.0), deleted=True),
            ]
        )
    )
    joy = views.rows("FROM emotions_by_story WHERE emotion = 'joy'")
    assert [(row["paragraphs"], row["mean_probability"], row["leading_share"]) for row in joy] == [(2, 0.375, 0.5)]


def test_psi_by_hand(views: Views) -> None:
    # 2026-03-01 is the baseline with shares 1/2 and 1/2; 2026-03-10 has 3/4 and 1/4.
    later = datetime(2026, 3, 10, tzinfo=UTC)
    joy, calm = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    rows = [Scored(str(number), joy if number % 2 else calm) for number in range(4)]
    rows += [Scored(f"later {number}", joy if number else calm, scored_at=later) for number in range(4)]
    views.load(Reference(rows))
    [day] = views.rows("FROM drift WHERE measure = 'emotion' AND day = '2026-03-10'")
    assert day["psi"] == pytest.approx(0.27465, abs=1e-5)  # (1/4) ln(3/2) + (-1/4) ln(1/2)
    assert day["expected_psi"] == 0.5  # 1/4 + 1/4
    assert day["drift"] == "none"


def test_the_baseline_period_can_be_given(views: Views) -> None:
    days = [datetime(2026, 3, number, tzinfo=UTC) for number in (1, 2, 3)]
    views.load(Reference([Scored(str(number), (1.0, 0.0, 0.0), scored_at=day) for number, day in enumerate(days)]))
    views.create(Renderer(Dialect.DUCKDB, LABELS, baseline=Period(date(2026, 3, 2), date(2026, 3, 3))))
    assert {row["baseline_paragraphs"] for row in views.rows("FROM drift")} == {2}
    views.create(Renderer(Dialect.DUCKDB, LABELS, baseline=Period(date(2020, 1, 1), date(2020, 1, 2))))
    assert {(row["psi"], row["drift"]) for row in views.rows("FROM drift")} == {(None, None)}
    views.create(Renderer(Dialect.DUCKDB, LABELS))


def test_the_day_is_that_of_utc(views: Views) -> None:
    views.load(Reference([Scored("1", (1.0, 0.0, 0.0), scored_at=datetime(2026, 3, 2, 0, 30, tzinfo=UTC))]))
    assert {row["day"] for row in views.rows("FROM paragraphs")} == {date(2026, 3, 2)}  # New York still has 1 March


def test_a_failed_paragraph_does_not_cover_its_old_score(views: Views) -> None:
    rows = [Scored(str(number), (1.0, 0.0, 0.0)) for number in range(3)]
    views.load(Reference(rows, [Failed("1"), Failed(None)]))
    [row] = views.rows("FROM coverage")
    assert (row["scored"], row["outdated"], row["dead_letters"], row["coverage"]) == (3, 1, 2, 0.5)


def test_changed_texts_are_not_compared(views: Views) -> None:
    row = Scored("1", (1.0, 0.0, 0.0))
    views.load(Reference([replace(row, text="new")], before=[row]))
    [changes] = views.rows("FROM changes")
    assert (changes["paragraphs_before"], changes["compared"], changes["flipped_share"]) == (1, 0, None)


def test_models_with_other_labels_are_compared() -> None:
    connection = duckdb.connect()
    columns = "'1' AS id, 'd' AS document, 0 AS position, 't' AS text_sha256, 10 AS tokens, 1 AS chunks, false AS truncated"
    columns += ", 'm' AS model_name, 1 AS model_version, 'fp32' AS \"precision\", 'truncate' AS policy, now() AS scored_at"
    connection.execute(f"CREATE TABLE scores_before AS SELECT {columns}, NULL::DATE AS deleted_at, 'joy' AS label, 1.0 AS joy")
    connection.execute(
        f"CREATE TABLE scores AS SELECT {columns}, NULL::DATE AS deleted_at, 'awe' AS label, 0.25 AS joy, 0.75 AS awe"
    )
    connection.execute(
        "CREATE TABLE dead_letters AS SELECT '' AS id, '' AS status, '' AS reason, 1 AS attempts, now() AS failed_at"
    )
    for statement in Renderer(Dialect.DUCKDB, ["joy", "awe"], labels_before=["joy"]).statements(comparisons=True):
        connection.execute(statement)
    assert connection.sql("SELECT flipped, shift FROM changed_paragraphs").fetchall() == [(True, 0.75)]
    assert connection.sql("SELECT emotion, mean_shift FROM probability_shifts ORDER BY ALL").fetchall() == [
        ("awe", 0.75),
        ("joy", -0.75),
    ]


def test_a_model_with_one_label() -> None:
    connection = duckdb.connect()
    connection.register("scores", scores_table([Scored("1", (1.0, 0.0, 0.0))]))
    for name in ("paragraphs", "emotions_long"):
        connection.execute(Renderer(Dialect.DUCKDB, ["joy"]).statement(VIEWS[name]))
    row = "SELECT confidence, second_label, margin, entropy FROM paragraphs"
    assert connection.sql(row).fetchall() == [(1.0, None, 1.0, 0.0)]
