"""Whether an input has the columns that were asked for."""

from collections.abc import Collection

from undertone_client.jobs import InputError

from undertone_cli.sources.options import SourceOptions


def check_columns(present: Collection[str], place: str, options: SourceOptions) -> None:
    """Check that the named columns are among `present`.

    Raises:
        InputError: one is not, or is there more than once; the message lists those there are.
    """
    for option in ("text_column", "id_column", "document_column"):
        wanted = getattr(options, option)
        if wanted is None:
            continue
        flag = "--" + option.replace("_", "-")
        times = list(present).count(wanted)
        if times > 1:
            raise InputError(f"{place}: {times} columns are named {wanted!r} ({flag}); it must be one")
        if times == 0:
            there = ", ".join(repr(column) for column in present) or "none"
            raise InputError(f"{place}: no column {wanted!r}; there are: {there}. Name the right one with {flag}")
