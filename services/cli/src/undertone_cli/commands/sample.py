"""`undertone sample`."""

import click
from undertone_client.jobs.catalog import CatalogFactory
from undertone_telemetry.options import IntegerRange

from undertone_cli.sql import SqlSession, open_source, write_result
from undertone_cli.sql.options import QUERY_EXIT_CODES, SOURCE_HELP, ResultOptions, query_command
from undertone_cli.sql.texts import with_texts

_QUERY = """
    SELECT
        uncertain.* EXCLUDE (rank){kept}, CAST(NULL AS VARCHAR) AS correct_labels
    FROM uncertain_paragraphs AS uncertain JOIN scores USING (id)
    WHERE scores.deleted_at IS NULL
    QUALIFY ROW_NUMBER() OVER (PARTITION BY uncertain.text_sha256 ORDER BY uncertain.rank) = 1
    ORDER BY uncertain.rank LIMIT ?
"""


@click.command(
    epilog=f"""\b
Examples:
  undertone sample scores/stories --uncertain 200 --with-text --output label-these.csv
  undertone sample emotions.stories --warehouse lake --uncertain 50 --output label-these.csv

{SOURCE_HELP}

The smaller the margin of a paragraph, the more a model learns from its correct labels. The margin is
the difference of the two highest probabilities; of a multi-label model, the smallest difference
between the probabilities of having and of not having a label. A text that occurs more than once is
chosen once. Write the correct emotions into the last column, correct_labels, which is empty.

{QUERY_EXIT_CODES}"""
)
@click.argument("source", metavar="SOURCE")
@click.option("--uncertain", type=IntegerRange(min=1), required=True, metavar="N", help="Number of paragraphs.")
@click.option("--with-text", is_flag=True, help="Add the texts. Reads the inputs of the folder again.")
@query_command
def sample(
    source: str,
    *,
    uncertain: int,
    with_text: bool,
    catalog: CatalogFactory,
    memory_limit: str,
    result: ResultOptions,
) -> None:
    """Choose the N paragraphs in SOURCE with the least certain labels, for labelling by people."""
    opened = open_source(source, catalog)
    with SqlSession(opened, memory_limit=memory_limit) as session:
        reader = session.read(_QUERY.format(kept=session.kept_columns()), (uncertain,))
        write_result(with_texts(reader, opened) if with_text else reader, result.format, result.output)
