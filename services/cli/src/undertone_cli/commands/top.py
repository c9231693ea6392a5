"""`undertone top`."""

import click
from undertone_client.errors import SettingsError
from undertone_client.jobs.catalog import CatalogFactory
from undertone_telemetry.options import IntegerRange

from undertone_cli.sql import SqlSession, open_source, write_result
from undertone_cli.sql.options import QUERY_EXIT_CODES, SOURCE_HELP, ResultOptions, query_command
from undertone_cli.sql.texts import with_texts


@click.command(
    epilog=f"""\b
Examples:
  undertone top joy scores/stories
  undertone top fear scores/stories --document the-ninth-stair --with-text
  undertone top anger emotions.stories --warehouse lake --limit 100 --output anger.csv

{SOURCE_HELP}

Columns of the input that were kept with `undertone score --keep` are shown, too.

{QUERY_EXIT_CODES}"""
)
@click.argument("emotion")
@click.argument("source", metavar="SOURCE")
@click.option("--limit", type=IntegerRange(min=1), default=10, show_default=True, help="Number of paragraphs.")
@click.option("--document", help="Only paragraphs of this story.")
@click.option("--with-text", is_flag=True, help="Add the texts. Reads the inputs of the folder again.")
@query_command
def top(
    emotion: str,
    source: str,
    *,
    limit: int,
    document: str | None,
    with_text: bool,
    catalog: CatalogFactory,
    memory_limit: str,
    result: ResultOptions,
) -> None:
    """Show the paragraphs in SOURCE with the highest probabilities of EMOTION."""
    opened = open_source(source, catalog)
    if emotion not in opened.labels:
        raise SettingsError(f"the emotion {emotion!r} is not in {source}: use one of {', '.join(opened.labels)}")
    query = """
        SELECT strongest.* EXCLUDE (emotion, rank){kept}
        FROM strongest_paragraphs AS strongest JOIN scores USING (id)
        WHERE emotion = ? AND (? IS NULL OR strongest.document = ?) AND scores.deleted_at IS NULL
        ORDER BY strongest.rank LIMIT ?
    """
    with SqlSession(opened, memory_limit=memory_limit) as session:
        reader = session.read(
            query.format(kept=session.kept_columns(*(["text_sha256"] if with_text else []))),
            (emotion, document, document, limit),
        )
        write_result(with_texts(reader, opened) if with_text else reader, result.format, result.output)
