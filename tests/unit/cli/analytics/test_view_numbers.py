"""The numbers of each view on DuckDB."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from undertone_cli.analytics import VIEWS, Dialect, Period, Renderer
from undertone_client.jobs.score_columns import DELETED_AT_COLUMN, score_columns

from tests.unit.support.score_rows import LABELS, Failed, Scored, dead_letters_table, scores_table
from tests.unit.support.scored_tables import large_example, mixed_references, references
from tests.unit.support.view_reference import Reference, Row, assert_same_rows


class Views:
    """The views on DuckDB, over tables with or without the column of multi-label models."""

    def __init__(self, *, multi_label: bool = False) -> None:
        self.multi_label = multi_label
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("SET TimeZone = 'America/New_York'")
        self.load(Reference([]))
        self.create(Renderer(Dialect.DUCKDB, LABELS, multi_label=multi_label))

    def load(self, data: Reference) -> None:
        self.connection.register("scores", scores_table(data.scores, multi_label=self.multi_label))
        self.connection.register("dead_letters", dead_letters_table(data.letters))
        self.connection.register("scores_before", scores_table(data.before, multi_label=self.multi_label))

    def create(self, renderer: Renderer) -> None:
        for statement in renderer.statements(comparisons=True):
            self.connection.execute(statement)

    def rows(self, query: str) -> list[Row]:
        rows: list[Row] = self.connection.sql(query).to_arrow_table().to_pylist()
        return rows


@pytest.fixture(scope="module")
def views() -> Iterator[Views]:
    views = Views()
    yield views
    views.connection.close()


@pytest.fixture(scope="module")
def mixed_views() -> Iterator[Views]:
    """Views of tables with scores of single-label and of multi-label models."""
    views = Views(multi_label=True)
    yield views
    views.connection.close()


@settings(max_examples=10, deadline=None)
@given(data=references)
def test_all_views_are_as_in_plain_python(views: Views, data: Reference) -> None:
    views.load(data)
    for name in VIEWS:
        assert_same_rows(views.rows(f"FROM {name}"), data.rows(name))


@settings(max_examples=10, deadline=None)
@given(data=mixed_references)
def test_all_views_of_both_kinds_of_models_are_as_in_plain_python(mixed_views: Views, data: Reference) -> None:
    mixed_views.load(data)
    for name in VIEWS:
        assert_same_rows(mixed_views.rows(f"FROM {name}"), data.rows(name))


def test_all_views_of_a_large_table_are_as_in_plain_python(views: Views) -> None:
    data = large_example()
    views.load(data)
    for name in VIEWS:
        assert_same_rows(views.rows(f"FROM {name}"), data.rows(name))


@pytest.mark.parametrize("name", VIEWS)
def test_columns_are_those_that_the_file_describes(views: Views, mixed_views: Views, name: str) -> None:
    for each in (views, mixed_views):
        each.load(Reference([]))
        assert each.connection.sql(f"FROM {name}").columns == list(VIEWS[name].columns)


def test_a_paragraph_counts_under_each_of_its_labels(mixed_views: Views) -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)
    both = Scored("1", (0.9, 0.8, 0.1), above_threshold=("joy", "Calm sea"), scored_at=day)
    none = replace(both, id="2", probabilities=(0.3, 0.2, 0.1), above_threshold=())
    mixed_views.load(Reference([both, none], before=[replace(none, id="1")]))
    shares = mixed_views.rows("SELECT emotion, labelled_share, unlabelled_share FROM emotions_by_story")
    assert {row["emotion"]: (row["labelled_share"], row["unlabelled_share"]) for row in shares} == {
        "joy": (0.5, 0.5),
        "Calm sea": (0.5, 0.5),
        "day": (0.0, 0.5),
    }
    bins = mixed_views.rows("SELECT bin, share FROM drift_by_bin WHERE measure = 'emotion'")
    assert {row["bin"]: row["share"] for row in bins} == pytest.approx({"joy": 1 / 3, "Calm sea": 1 / 3, "(no label)": 1 / 3})
    assert mixed_views.rows("SELECT unlabelled FROM coverage") == [{"unlabelled": 1}]
    assert mixed_views.rows("SELECT labels_before, labels_after FROM label_flips") == [
        {"labels_before": "(no label)", "labels_after": "Calm sea, joy"}
    ]


def test_the_certainty_of_a_multi_label_model_is_that_of_its_least_certain_label(mixed_views: Views) -> None:
    certain = Scored("1", (1.0, 1.0, 0.0), above_threshold=("joy", "Calm sea"))
    uncertain = Scored("2", (1.0, 0.5, 0.0), above_threshold=("joy", "Calm sea"))
    mixed_views.load(Reference([certain, uncertain]))
    rows = mixed_views.rows("SELECT id, margin, entropy FROM uncertain_paragraphs ORDER BY rank")
    assert [tuple(row.values()) for row in rows] == [("2", 0.0, pytest.approx(1 / 3)), ("1", 1.0, 0.0)]


def test_labels_of_another_model_do_not_change_the_entropy(views: Views) -> None:
    views.load(Reference([Scored("1", (0.5, 0.5, None))]))
    assert views.rows("SELECT entropy FROM paragraphs") == [{"entropy": pytest.approx(1.0)}]


def test_labels_with_names_that_need_quotes() -> None:
    labels = ["Joy / Élan", 'say "cheese"', "l'ennui", "a.b", "back`tick", "percent%", "semi;colon", "-- no comment"]
    with duckdb.connect() as connection:
        schema = pa.schema(score_columns(labels, multi_label=True, more=[DELETED_AT_COLUMN]))
        row = {"id": "1", "labels_above_threshold": labels, "label": labels[0], **dict.fromkeys(labels, 0.75)}
        scores = pa.Table.from_pylist([row], schema=schema)
        for name, table in (("scores", scores), ("scores_before", scores), ("dead_letters", dead_letters_table([]))):
            connection.register(name, table)
        for statement in Renderer(Dialect.DUCKDB, labels, multi_label=True).statements(comparisons=True):
            connection.execute(statement)
        query = "SELECT emotion FROM emotions_long WHERE has_label AND probability = 0.75"
        assert sorted(connection.sql(query).fetchall()) == sorted((label,) for label in labels)


def test_the_longest_statement_for_100_labels_is_short_enough_for_athena() -> None:
    renderer = Renderer(Dialect.ATHENA, [f"label {number}" for number in range(100)], multi_label=True)
    assert len(renderer.statement(VIEWS["paragraphs"])) < 262_144


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
    assert [(row["paragraphs"], row["mean_probability"], row["labelled_share"]) for row in joy] == [(2, 0.375, 0.5)]


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
    columns += ", '' AS flags"
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
