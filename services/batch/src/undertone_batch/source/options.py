"""Options of Spark's data sources: their defaults, and those that lose paragraphs silently."""

from collections.abc import Mapping

from undertone_client import SettingsError

MALFORMED_COLUMN = "_undertone_malformed"
"""The column in which Spark's CSV and JSON readers put a row that they cannot parse."""

FILE_OPTIONS: Mapping[str, str] = {"ignoreCorruptFiles": "false", "ignoreMissingFiles": "false"}
"""Stops at a file that cannot be read, also if the session's settings say otherwise.

The paragraphs of a skipped file would be marked as deleted.
"""

DEFAULT_OPTIONS: Mapping[str, Mapping[str, str]] = {
    # Without column pruning, Spark compares the number of fields of a row with that of the header.
    "csv": {**FILE_OPTIONS, "header": "true", "multiLine": "true", "escape": '"', "columnPruning": "false"},
    "json": FILE_OPTIONS,
    "orc": FILE_OPTIONS,
    "parquet": FILE_OPTIONS,
    "text": FILE_OPTIONS,
    "xml": FILE_OPTIONS,
}

ROW_FORMATS = ("csv", "json", "xml")
"""Formats with an option `mode` for rows that cannot be parsed."""

PARTIAL = {
    "ignorecorruptfiles": "true",
    "ignoremissingfiles": "true",
    "modifiedafter": None,
    "modifiedbefore": None,
}
"""Options in lower case that leave out files, and the value with which they do; None for any."""


def with_defaults(source_format: str, options: Mapping[str, str]) -> dict[str, str]:
    """The options with the format's defaults. As in Spark, the case of names does not matter."""
    given = {name.lower() for name in options}
    defaults = {name: value for name, value in DEFAULT_OPTIONS.get(source_format, {}).items() if name.lower() not in given}
    return {**defaults, **options}


def option(options: Mapping[str, str], name: str, default: str = "") -> str:
    """The value of an option. As in Spark, the case of names does not matter."""
    return {key.lower(): value for key, value in options.items()}.get(name.lower(), default)


def is_set(options: Mapping[str, str], name: str) -> bool:
    """Whether a Boolean option is true."""
    return option(options, name).lower() == "true"


def check_options(source_format: str, options: Mapping[str, str], *, mark_deleted: bool) -> None:
    """Checks that no option removes paragraphs from the source without an error.

    Args:
        source_format: The format of the source.
        options: The options of the user.
        mark_deleted: Whether the run marks rows whose paragraph is not in the source.

    Raises:
        SettingsError: an option does.
    """
    for name, value in options.items():
        problem = None
        if name.lower() in PARTIAL and mark_deleted and PARTIAL[name.lower()] in (None, value.lower()):
            problem = (
                "leaves out files, and the run would mark their paragraphs as deleted: remove it, or add --deletions ignore"
            )
        elif source_format in ROW_FORMATS and name.lower() == "mode" and value.upper() == "DROPMALFORMED":
            problem = (
                "removes rows that cannot be parsed, without a trace: remove it, so that they become dead letters, or use"
                " FAILFAST, with which they end the run"
            )
        elif source_format in ("csv", "json") and name.lower() == "columnnameofcorruptrecord":
            problem = "is not available, because the job uses it to find rows that cannot be parsed: remove it"
        elif source_format == "csv" and name.lower() == "columnpruning" and value.lower() == "true":
            problem = "hides rows with more or fewer fields than the header, which lose a part of their text: remove it"
        if problem is not None:
            raise SettingsError(f"--option {name}={value} {problem}")
