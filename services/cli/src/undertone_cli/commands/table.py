"""The Iceberg table to which `undertone publish`, `score` and `replay` publish."""

from typing import TYPE_CHECKING

from undertone_client.errors import SettingsError
from undertone_client.jobs.catalog import TableOptions

if TYPE_CHECKING:
    from undertone_cli.publish import Publication, Published


def open_publication(table: TableOptions) -> "Publication":
    """The publication to a table. Imports pyiceberg.

    Raises:
        SettingsError: pyiceberg is not installed, or cannot use the catalogue.
        OutputError: the catalogue cannot be opened.
    """
    try:
        from undertone_cli.publish import Publication, open_catalog
    except ImportError:
        raise SettingsError("--table needs pyiceberg: install it with: pip install 'undertone[iceberg]'") from None
    return Publication(open_catalog(table.catalog), table.name)


def describe(table: TableOptions, published: "Published") -> str:
    """The result of a publication in one line."""
    if published.snapshot is None and published.dead_letters is None:
        text = f"nothing to publish: {table.name} has all {published.unchanged:,} rows"
    else:
        text = f"published to {table.name}: {published.added:,} added, {published.replaced:,} replaced"
        text += f", {published.unchanged:,} unchanged"
    if published.dead_letters is not None:
        text += f", {published.dead_letters:,} dead letters in {table.name.dead_letters}"
    if published.newer:
        text += f"; {published.newer:,} of the unchanged rows are newer in the table and differ"
    return text
