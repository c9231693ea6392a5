"""The options that say how the inputs of a command are read."""

import click
from undertone_client.jobs.paragraph_length import MIN_CHARACTERS
from undertone_telemetry.options import IntegerRange, option_group

from undertone_cli.readers import BadLinePolicy, Format, ReadOptions


def _delimiter(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    character = "\t" if value == r"\t" else value
    if character is not None and (len(character) != 1 or character in '"\r\n\0' or not character.isascii()):
        raise click.BadParameter(f"{value!r} is not one ASCII character: use for example ';', '|' or '\\t'")
    return character


def _read_options(
    input_format: str | None,
    text_column: str,
    id_column: str | None,
    document_column: str | None,
    delimiter: str | None,
    *,
    quotes: bool,
    on_bad_line: str,
    min_characters: int,
) -> ReadOptions:
    return ReadOptions(
        Format(input_format) if input_format else None,
        text_column,
        id_column,
        document_column,
        (),
        min_characters,
        delimiter,
        quotes,
        BadLinePolicy(on_bad_line),
    )


read_options = option_group(
    "read",
    _read_options,
    click.option(
        "--format",
        "input_format",
        type=click.Choice([each.value for each in Format]),
        help="Format of the inputs, without their compression.  [default: from the suffix of each file; text for standard "
        "input]",
    ),
    click.option("--text-column", default="text", show_default=True, help="Column with the text."),
    click.option(
        "--id-column", help="Column with the id, of at most 4,096 characters.  [default: ids are <document>/<position>]"
    ),
    click.option("--document-column", help="Column with the document's name.  [default: the file's name]"),
    click.option(
        "--delimiter",
        metavar="CHARACTER",
        callback=_delimiter,
        help="Character between the fields of CSV and TSV; write a tab as \\t.  [default: the comma of CSV, the tab of TSV]",
    ),
    click.option(
        "--quotes/--no-quotes",
        default=True,
        show_default=True,
        help="Whether fields of CSV and TSV can be in double quotes. With --no-quotes, quotation marks are text.",
    ),
    click.option(
        "--on-bad-line",
        type=click.Choice([each.value for each in BadLinePolicy]),
        default=BadLinePolicy.FAIL.value,
        show_default=True,
        help="What to do with a line that cannot be read, such as invalid JSON: fail before anything is sent, or skip it. "
        "undertone score lists skipped lines in _bad_lines.jsonl.",
    ),
    click.option(
        "--min-characters",
        envvar="UNDERTONE_MIN_CHARACTERS",
        show_envvar=True,
        type=IntegerRange(min=0),
        default=MIN_CHARACTERS,
        show_default=True,
        help="Skip paragraphs with fewer characters, without white space around them. 0 scores all.",
    ),
)
"""Adds the argument `read`, `ReadOptions` without columns to keep, to a command."""
