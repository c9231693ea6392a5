"""`undertone sql`."""

import click
from undertone_client.errors import SettingsError
from undertone_client.jobs.catalog import CatalogFactory
from undertone_telemetry.options import refuse_unused

from undertone_cli.sql import SqlSession, open_source, write_result
from undertone_cli.sql.options import QUERY_EXIT_CODES, SOURCE_HELP, ResultOptions, query_command
from undertone_cli.sql.view_choice import check_view, describe_views
from undertone_cli.view_names import VIEW_NAMES


@click.command(
    epilog=f"""\b
Examples:
  undertone sql "SELECT label, COUNT(*) FROM scores GROUP BY ALL" scores/stories
  undertone sql --view emotions_by_story scores/stories
  undertone sql "FROM arcs WHERE emotion = 'joy'" scores/stories --output joy.csv
  undertone sql --view drift emotions.stories --warehouse lake --baseline 2026-01-01/2026-01-31
  undertone sql --list-views

{SOURCE_HELP}

The SQL is that of DuckDB. It can read the tables scores and dead_letters and the views, and nothing
else: no files, no network. Scores of deleted paragraphs are in scores, with deleted_at, but not in
the views.

{QUERY_EXIT_CODES}"""  # noqa: S608 - help
)
@click.argument("arguments", nargs=-1, metavar="[QUERY] SOURCE")
@click.option("--view", metavar="NAME", help="Select all rows of a view instead of a QUERY: see --list-views.")
@click.option("--list-views", is_flag=True, help="Show the views and their columns.")
@click.option("--as-of", help="Read an older snapshot of a table: its id, a date or a time in UTC.")
@click.option("--baseline", metavar="FIRST/LAST", help="Dates of the baseline period of drift.  [default: the first 7 days]")
@query_command
def sql(
    arguments: tuple[str, ...],
    *,
    view: str | None,
    list_views: bool,
    as_of: str | None,
    baseline: str | None,
    catalog: CatalogFactory,
    memory_limit: str,
    result: ResultOptions,
) -> None:
    """Query the scores in SOURCE with SQL, or show a view of them."""
    if list_views:
        if arguments:
            raise click.UsageError(f"--list-views needs no QUERY and no SOURCE, such as {arguments[-1]!r}: omit one of them")
        refuse_unused("has no effect with --list-views: omit one of them", "view", "as_of", "baseline", "output")
        click.echo(describe_views())
        return
    if view is not None and len(arguments) == 1:
        check_view(view, VIEW_NAMES)
        query, source = f"FROM {view} ORDER BY ALL", arguments[0]
    elif view is None and len(arguments) == 2:
        query, source = arguments
    else:
        raise SettingsError(
            f"the number of arguments is {len(arguments)}: give a QUERY and a SOURCE, or --view NAME and a SOURCE"
        )
    with SqlSession(open_source(source, catalog, as_of), memory_limit=memory_limit, baseline=baseline) as session:
        write_result(session.read(query), result.format, result.output)
