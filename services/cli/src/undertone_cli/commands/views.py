"""`undertone views`."""

import click
from undertone_client.errors import SettingsError
from undertone_client.jobs.catalog import CatalogFactory, TableName, catalog_options
from undertone_telemetry.options import refuse_unused

from undertone_cli.sql import open_source
from undertone_cli.sql.options import QUERY_EXIT_CODES, explain_query_errors
from undertone_cli.sql.session import MISSING_EXTRA


@click.command(
    epilog=f"""\b
Examples:
  undertone views emotions.stories --warehouse s3://bucket/lake --catalog-type glue > views.sql
  undertone views emotions.stories --label joy --label sadness --dialect spark
  undertone views emotions.stories --label joy --label sadness --before emotions.stories_v1

The names of the views begin with that of the table, such as emotions.stories_emotions_by_day. Create
the views again after a new model has added emotions. Athena runs one statement at a time.

{QUERY_EXIT_CODES}"""
)
@click.argument("table", metavar="NAMESPACE.NAME")
@click.option(
    "--dialect",
    type=click.Choice(["athena", "duckdb", "spark"]),
    default="athena",
    show_default=True,
    help="Engine of the views. athena: also Trino. spark: temporary views.",
)
@click.option("--label", "labels", multiple=True, help="An emotion; can be repeated.  [default: those of the table]")
@click.option("--multi-label", is_flag=True, help="With --label: the table has scores of a multi-label model.")
@click.option("--before", metavar="NAMESPACE.NAME", help="Table of older scores: print the views that compare, too.")
@click.option("--before-snapshot", type=int, help="Snapshot of older scores, in --before or in the same table.")
@click.option("--baseline", metavar="FIRST/LAST", help="Dates of the baseline period of drift.  [default: the first 7 days]")
@catalog_options()
@explain_query_errors
def views(
    table: str,
    *,
    dialect: str,
    labels: tuple[str, ...],
    multi_label: bool,
    before: str | None,
    before_snapshot: int | None,
    baseline: str | None,
    catalog: CatalogFactory,
) -> None:
    """Print SQL that creates the views over an Iceberg table."""
    try:
        from undertone_cli.analytics import Dialect, Renderer, iceberg_relations
        from undertone_cli.analytics.render import parse_period
    except ImportError:
        raise SettingsError(MISSING_EXTRA) from None

    if not labels:
        refuse_unused("describes the table of --label: add --label, or omit it to read the table", "multi_label")
    name, engine = TableName.parse(table), Dialect(dialect)
    older = TableName.parse(before) if before else name if before_snapshot is not None else None
    relations = iceberg_relations(engine, name, before=older, before_snapshot=before_snapshot)
    older_labels, older_multi_label = labels, multi_label
    if not labels:
        source = open_source(table, catalog)
        labels, multi_label = tuple(source.labels), source.multi_label
        if older is not None:
            source = open_source(str(older), catalog, None if before_snapshot is None else str(before_snapshot))
            older_labels, older_multi_label = tuple(source.labels), source.multi_label
    renderer = Renderer(
        engine,
        labels,
        relations,
        multi_label=multi_label,
        labels_before=older_labels,
        multi_label_before=older_multi_label,
        baseline=parse_period(baseline) if baseline else None,
    )
    for statement in renderer.statements(comparisons=older is not None):
        click.echo(f"{statement};\n")
