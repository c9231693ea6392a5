"""`undertone report`."""

from pathlib import Path

import click
from undertone_client.errors import SettingsError
from undertone_client.jobs import CommandError, ExitCode, InputError, OutputError

from undertone_cli.report import write_report
from undertone_cli.run_folder import RunFolder


@click.command(
    epilog="""\b
Examples:
  undertone report scores/stories
  undertone report scores/stories --with-text --output stories.html
  undertone report scores/chapters --chapter-column document
  undertone report scores/model-2 --compare scores/model-1"""
)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.  [default: DIR/_report.html]",
)
@click.option(
    "--with-text",
    is_flag=True,
    help="Quote the strongest paragraphs, and mark the headings of text inputs as chapters. Reads the inputs again.",
)
@click.option(
    "--chapter-column",
    metavar="COLUMN",
    help="Kept column with the chapter of each paragraph. `document` makes all documents the chapters of one story."
    "  [default: chapter, if the run kept it]",
)
@click.option(
    "--compare",
    metavar="OLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of an older run of the same inputs. The report then shows what changed, in total and by story. Needs "
    "undertone[sql].",
)
def report(folder: Path, output: Path | None, *, with_text: bool, chapter_column: str | None, compare: Path | None) -> None:
    """Write an HTML report on the scores in DIR.

    The report shows how frequent each label is, how confident the model is, how the probabilities
    change through each story, and the strongest paragraphs: those with the highest probability of a
    label. With a multi-label model, it also shows how many paragraphs have no label. It shows the
    valence if all labels are known emotions.

    A story is a document. The rows of a table, such as CSV, are a story only if the run has a
    --document-column. Else they have no order, and the report shows totals only.

    The report is one file that needs no network. It contains text of paragraphs only with
    --with-text. The size of the file is limited: a long story is drawn in up to 480 groups of
    paragraphs, and the report has up to 5,000 stories.
    """
    try:
        written = write_report(
            folder,
            output or RunFolder(folder).report,
            with_text=with_text,
            chapter_column=chapter_column,
            compare=compare,
        )
    except (InputError, OutputError, SettingsError) as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    click.echo(written)
