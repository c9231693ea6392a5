"""The numbers of the views on Trino, whose SQL Athena has, and the queries of the dashboards."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from undertone_cli.analytics import VIEWS, Dialect, Renderer
from undertone_client.jobs.score_columns import DELETED_AT_COLUMN, score_columns
from undertone_model.emotions import EMOTIONS

from deploy.analytics.charts import CHARTS
from tests.integration.support.trino import Trino, needs_trino, trino
from tests.unit.support.score_rows import LABELS, dead_letters_table, scores_table
from tests.unit.support.scored_tables import large_example
from tests.unit.support.view_reference import assert_same_rows

pytestmark = needs_trino

FILES = Path(__file__).parents[3] / "deploy/analytics/athena"


@pytest.fixture(scope="module")
def server() -> Iterator[Trino]:
    with trino() as running:
        yield running


def test_all_views_are_as_in_plain_python(server: Trino) -> None:
    data = large_example(multi_label=True)
    server.load("scores", scores_table(data.scores, multi_label=True))
    server.load("scores_before", scores_table(data.before, multi_label=True))
    server.load("dead_letters", dead_letters_table(data.letters))
    for statement in Renderer(Dialect.ATHENA, LABELS, multi_label=True).statements(comparisons=True):
        server.execute(statement)
    for name in VIEWS:
        assert_same_rows(server.execute(f"SELECT * FROM {name}"), data.rows(name))  # noqa: S608


def test_committed_statements_and_queries_of_dashboards_run(server: Trino) -> None:
    scores = pa.schema(score_columns(EMOTIONS, more=[DELETED_AT_COLUMN])).empty_table()
    for name in ("stories", "stories_before"):
        server.load(name, scores)
    server.load("stories_dead_letters", dead_letters_table([]))
    files = sorted(FILES.glob("*.sql"))
    assert len(files) == len(VIEWS)
    for file in files:
        server.execute(file.read_text())
    for chart in CHARTS:
        server.execute(chart.query)
