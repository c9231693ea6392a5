"""The numbers of each view on Spark."""

from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from undertone_cli.analytics import VIEWS, Dialect, Relations, Renderer

from tests.unit.support.score_rows import LABELS, dead_letters_table, scores_table
from tests.unit.support.scored_tables import large_example
from tests.unit.support.view_reference import assert_same_rows


def test_all_views_are_as_in_plain_python(spark: SparkSession, tmp_path: Path) -> None:
    data = large_example(multi_label=True)
    tables = {
        "scores": scores_table(data.scores, multi_label=True),
        "dead_letters": dead_letters_table(data.letters),
        "scores_before": scores_table(data.before, multi_label=True),
    }
    session = spark.newSession()
    session.conf.set("spark.sql.session.timeZone", "America/New_York")
    for name, table in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
        session.read.parquet(str(tmp_path / f"{name}.parquet")).createOrReplaceTempView(name)
    renderer = Renderer(Dialect.SPARK, LABELS, Relations(create="CREATE OR REPLACE TEMPORARY VIEW"), multi_label=True)
    for statement in renderer.statements(comparisons=True):
        session.sql(statement)
    for name in VIEWS:
        assert_same_rows((row.asDict() for row in session.table(name).collect()), data.rows(name))
