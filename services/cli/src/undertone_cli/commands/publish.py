"""`undertone publish`."""

from pathlib import Path

import click
from undertone_client.errors import UndertoneError
from undertone_client.jobs import command_error
from undertone_client.jobs.catalog import TableOptions, table_options

from undertone_cli.commands.table import describe, open_publication
from undertone_cli.run_folder import RunFolder


@click.command(
    epilog="""\b
Examples:
  undertone publish scores/reviews --table emotions.reviews --warehouse lake
  undertone publish scores/reviews --table emotions.reviews \\
      --catalog-type glue --warehouse s3://bucket/lake

The table is that of the Spark job: both can write the same table. A row replaces the row with its
id if it is newer. All rows of DIR become visible in one snapshot. Publishing DIR again changes
nothing. Dead letters go to the table NAME_dead_letters. Needs the extra undertone[iceberg].

\b
Exit codes:
  0    success
  2    the options, the folder or the table are invalid
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)"""
)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@table_options("Iceberg table of scores. It is created if it does not exist.", required=True)
@click.option("--quiet", is_flag=True, help="Print errors only.")
def publish(folder: Path, *, table: TableOptions, quiet: bool) -> None:
    """Publish the scores in DIR to an Iceberg table.

    DIR is the folder of a complete run of `undertone score`.
    """
    run_folder = RunFolder(folder)
    try:
        run_folder.manifest()  # before the catalogue of a wrong warehouse is created
        publication = open_publication(table)
        with run_folder.locked():
            published = publication.publish(run_folder)
    except (KeyboardInterrupt, UndertoneError) as error:
        raise command_error(error, "") from None
    if not quiet:
        click.echo(describe(table, published))
