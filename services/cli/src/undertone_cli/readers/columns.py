"""The columns of an input: those that the options name must be present, each once."""

from collections.abc import Collection

from undertone_client.jobs import InputError

from undertone_cli.readers.formats import ReadOptions


def check_columns(present: Collection[str], location: str, options: ReadOptions, *, hint: str = "") -> None:
    """Check that each named column is present once.

    Args:
        present: the names of the columns.
        location: the place of the names, for messages.
        options: the named columns.
        hint: a more likely remedy for a missing column.

    Raises:
        InputError: a column is missing or ambiguous; the message lists the present ones.
    """
    for flag, wanted in zip(options.flags, options.columns, strict=True):
        if wanted is None:
            continue
        count = list(present).count(wanted)
        if count > 1:
            raise InputError(f"{location}: {count} columns are named {wanted!r} ({flag}); the name must be unique")
        if count == 0:
            columns = ", ".join(map(repr, present)) or "none"
            remedy = hint or f"Set the right one with {flag}"
            raise InputError(f"{location}: no column {wanted!r}; the columns are: {columns}. {remedy}")
