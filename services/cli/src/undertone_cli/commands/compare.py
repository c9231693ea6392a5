"""`undertone compare`: of scores here, and of services in `compare_services`."""

from typing import Any

import click
from undertone_client.errors import SettingsError
from undertone_client.jobs.catalog import CatalogFactory

from undertone_cli.commands.compare_services import compare as compare_services
from undertone_cli.sql import OutputFormat, SqlSession, open_source, write_result
from undertone_cli.sql.options import QUERY_EXIT_CODES, SOURCE_HELP, ResultOptions, query_command
from undertone_cli.sql.view_choice import check_view
from undertone_cli.view_names import COMPARISONS

_OVERVIEW = (
    ("Paragraphs", "FROM changes"),
    ("Changed labels", "FROM label_flips WHERE flipped ORDER BY paragraphs DESC, labels_before, labels_after LIMIT 20"),
    ("Probabilities", "FROM probability_shifts ORDER BY mean_absolute_shift DESC"),
)


class _TwoForms(click.Command):
    """The command for scores. With the address of a service, it is the command for services."""

    forms = (compare_services,)

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> click.Context:
        if any(word.partition("=")[0] in ("--baseline", "--candidate") for word in args):
            return compare_services.make_context(info_name, args, *rest, **extra)
        return super().make_context(info_name, args, *rest, **extra)


@click.command(
    cls=_TwoForms,
    epilog=f"""\b
Two services are compared by another form, with options of its own (--help after both addresses):
  undertone compare --baseline HOST:PORT --candidate HOST:PORT INPUT...

\b
Examples:
  undertone compare scores/model-1 scores/model-2
  undertone compare scores/model-1 scores/model-2 --view changed_paragraphs --output changed.csv
  undertone compare emotions.stories --as-of 2026-03-01 --warehouse lake
  undertone compare emotions.stories --as-of 2026-03-01 --as-of 2026-04-01 --warehouse lake

{SOURCE_HELP}

Paragraphs are compared if both have a score of the same id and the same text.

{QUERY_EXIT_CODES}""",
)
@click.argument("before", metavar="BEFORE")
@click.argument("after", metavar="[AFTER]", required=False)
@click.option(
    "--as-of",
    "snapshots",
    multiple=True,
    help="Snapshot of BEFORE, a table: its id, a date or a time in UTC. Twice: also of AFTER.  [default: the newest]",
)
@click.option("--view", metavar="NAME", help=f"Show all rows of one view: {', '.join(COMPARISONS)}.")
@query_command
def compare(
    before: str,
    after: str | None,
    *,
    snapshots: tuple[str, ...],
    view: str | None,
    catalog: CatalogFactory,
    memory_limit: str,
    result: ResultOptions,
) -> None:
    """Compare the scores in AFTER with older scores in BEFORE.

    Both are a SOURCE. Without AFTER, two snapshots of BEFORE are compared.
    """
    if view is not None:
        check_view(view, COMPARISONS)
    elif result.format is not OutputFormat.TABLE or result.output:
        raise SettingsError(f"the overview is a table for people: for a file, choose --view {', '.join(COMPARISONS)}")
    if len(snapshots) > 2 or (after is None and not snapshots):
        raise SettingsError("give BEFORE and AFTER, or a table and --as-of once or twice")
    older = open_source(before, catalog, snapshots[0] if snapshots else None)
    newer = open_source(after or before, catalog, snapshots[1] if len(snapshots) > 1 else None)
    with SqlSession(newer, older, memory_limit=memory_limit) as session:
        if view is not None:
            write_result(session.read(f"FROM {view} ORDER BY ALL"), result.format, result.output)
            return
        for title, query in _OVERVIEW:
            click.echo(f"{title}\n")
            write_result(session.read(query), OutputFormat.TABLE, None)
            click.echo()
