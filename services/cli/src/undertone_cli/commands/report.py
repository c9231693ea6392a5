"""`undertone report`."""

from pathlib import Path

import click
from undertone_client.jobs import CommandError, ExitCode, InputError, OutputError

from undertone_cli.report import write_report
from undertone_cli.run_folder import RunFolder


@click.command(
    epilog="""\b
Examples:
  undertone report scores/stories
  undertone report scores/stories --with-text --output stories.html"""
)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.  [default: DIR/_report.html]",
)
@click.option("--with-text", is_flag=True, help="Quote the strongest paragraphs. Reads the inputs again.")
def report(folder: Path, output: Path | None, *, with_text: bool) -> None:
    """Write an HTML report on the scores in DIR.

    The report shows how frequent each label is, how the probabilities change through each story,
    and the strongest paragraphs: those with the highest probability of a label. With a multi-label
    model, it also shows how many paragraphs have no label. The report is one file that needs no
    network. It contains text of paragraphs only with --with-text.
    """
    try:
        click.echo(write_report(folder, output or RunFolder(folder).report, with_text=with_text))
    except (InputError, OutputError) as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
