"""Reads an Iceberg table of scores through pyiceberg. Needs the extra `undertone[iceberg]`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from undertone_client.errors import SettingsError, UndertoneError
from undertone_client.jobs import InputError
from undertone_client.jobs.catalog import CATALOG, CatalogSettings, CatalogType, TableName

MISSING_EXTRA = "reading an Iceberg table needs pyiceberg: pip install 'undertone[iceberg]'"


class IcebergDataset(ds.Dataset):  # type: ignore[misc]  # Arrow has no types
    """A snapshot of a table as a dataset that DuckDB can scan more than once.

    A scan reads only the columns that the query needs. pyiceberg resolves deletes and changes of
    the schema.
    """

    def __init__(self, table: Any, snapshot_id: int | None) -> None:
        # Without the base class's __init__, which forbids instances that are not made by Arrow.
        self._table = table
        self._snapshot_id = snapshot_id
        self._schema: pa.Schema = self._scan(("*",)).to_arrow_batch_reader().schema

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def scanner(self, columns: Sequence[str] | None = None, filter: Any = None, **_: Any) -> Any:  # noqa: A002 - Arrow's name
        # The filter may name further columns. Then all are read.
        selected = tuple(columns) if columns and filter is None else ("*",)
        reader = self._scan(selected).to_arrow_batch_reader()
        return ds.Scanner.from_batches(reader, columns=list(columns) if columns else None, filter=filter)

    def _scan(self, columns: tuple[str, ...]) -> Any:
        return self._table.scan(selected_fields=columns, snapshot_id=self._snapshot_id)


def open_table(name: TableName, settings: CatalogSettings) -> Any:
    """The pyiceberg table.

    Raises:
        InputError: the table or its SQLite catalogue does not exist.
        SettingsError: pyiceberg is missing, or cannot read this type of catalogue.
    """
    try:
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
    except ImportError:
        raise SettingsError(MISSING_EXTRA) from None
    try:
        return _load_catalog(settings).load_table((name.namespace, name.name))
    except (NoSuchTableError, NoSuchNamespaceError):
        raise InputError(f"the catalogue has no table {name}: check the name and --warehouse, or --catalog-…") from None


def table_exists(name: TableName, settings: CatalogSettings) -> bool:
    """Whether the catalogue has the table."""
    return bool(_load_catalog(settings).table_exists((name.namespace, name.name)))


@contextmanager
def table_errors(name: TableName, settings: CatalogSettings) -> Iterator[None]:
    """Converts errors of the catalogue and of the file system.

    Raises:
        SettingsError: pyiceberg lacks a package for this type of catalogue.
        InputError: the table cannot be read.
    """
    try:
        yield
    except UndertoneError:
        raise
    except ImportError as error:  # also pyiceberg's NotInstalledError
        raise SettingsError(f"the catalogue of type {settings.type} needs another package: {error}") from None
    except Exception as error:  # of SQLAlchemy, boto3, requests, Thrift, Arrow or pyiceberg
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"the table {name} cannot be read from the catalogue of type {settings.type} ({reason}): check --warehouse,"
            " --catalog-…, and the credentials and the region of your environment"
        ) from None


def snapshot_at(table: Any, as_of: str) -> int:
    """The id of the snapshot that was current at a time.

    Args:
        table: the pyiceberg table.
        as_of: a snapshot's id; a date, which means its end; or a time. Both are in UTC by default.

    Raises:
        SettingsError: there is no such snapshot.
    """
    if as_of.isdigit() and len(as_of) > 8:  # not a date such as 20260301
        if table.snapshot_by_id(int(as_of)) is None:
            raise SettingsError(f"the table has no snapshot {as_of}: it was never written, or has expired")
        return int(as_of)
    try:
        when = datetime.fromisoformat(as_of)
    except ValueError:
        raise SettingsError(f"--as-of {as_of!r} is invalid: use the id of a snapshot, 2026-03-01 or 2026-03-01T12:00") from None
    if "T" not in as_of and " " not in as_of:
        when = datetime.combine(when.date(), time.max)
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    snapshot = table.snapshot_as_of_timestamp(int(when.timestamp() * 1000))
    if snapshot is None:
        raise SettingsError(f"the table has no snapshot as of {as_of}: it was created later, or the snapshot has expired")
    return int(snapshot.snapshot_id)


def _load_catalog(settings: CatalogSettings) -> Any:
    from pyiceberg.catalog import load_catalog

    properties = settings.pyiceberg_properties
    if settings.type is CatalogType.SQLITE:
        if not settings.sqlite_file.exists():
            raise InputError(f"{settings.sqlite_file} does not exist: --warehouse must be the folder of the Iceberg tables")
        properties["init_catalog_tables"] = "false"
    return load_catalog(CATALOG, **properties)
