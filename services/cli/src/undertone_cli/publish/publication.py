"""One publication: the rows of a complete run folder become rows of an Iceberg table."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    NoSuchTableError,
    TableAlreadyExistsError,
    ValidationException,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.table import Table
from pyiceberg.transforms import BucketTransform
from undertone_client.errors import UndertoneError
from undertone_client.jobs import OutputError, table_properties
from undertone_client.jobs.catalog import TableName

from undertone_cli.publish.attempt import Attempt, Published, run_id
from undertone_cli.publish.dead_letters import write_dead_letters
from undertone_cli.publish.schema import check_columns, columns_of, iceberg_schema
from undertone_cli.run_folder import Manifest, RunFolder, RunIdentity

BUCKETS = 16
"""Buckets of a new table. A Spark job keeps the buckets of a table that exists."""

MAX_ATTEMPTS = 5
"""Attempts of a publication, if other writers commit at the same time."""


class Publication:
    """Publishes to one table.

    All scores of a folder become visible in one snapshot. If the process stops before the commit,
    the table is unchanged, and the next publication of the folder writes all rows.

    Args:
        catalog: the catalogue.
        name: the table. It is created if it does not exist.
        now: returns the current time, in UTC.
    """

    def __init__(self, catalog: Catalog, name: TableName, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._catalog = catalog
        self._name = name
        self._now = now

    def check(self, identity: RunIdentity | None = None) -> None:
        """Check the catalogue, and that rows of a run fit into the table, before a run starts.

        Raises:
            OutputError: the catalogue cannot be read, or the table has other columns.
        """
        with self._table_errors():
            try:
                table = self._catalog.load_table(self._identifier)
            except NoSuchTableError:
                return
            self._check_table(table, identity)

    def publish(self, folder: RunFolder) -> Published:
        """Publish the folder of a complete run. Used with the folder locked.

        Raises:
            OutputError: the run is not complete, its rows do not fit into the table, an id is not
                unique, the table cannot be written, or other writers commit all the time.
        """
        manifest = folder.manifest()
        if not manifest.complete:
            raise OutputError(
                f"the run in {folder.path} is not complete; run the same `undertone score` again, then publish it"
            )
        conflict: Exception | None = None
        for _ in range(MAX_ATTEMPTS):
            try:
                with self._table_errors():
                    return self._attempt(folder, manifest)
            except (CommitFailedException, ValidationException) as error:
                conflict = error
        raise OutputError(
            f"other writers changed {self._name} during {MAX_ATTEMPTS} attempts to publish; publish the folder again when they "
            f"have ended ({conflict})"
        )

    def _attempt(self, folder: RunFolder, manifest: Manifest) -> Published:
        if not manifest.scored:  # the type of the ids may be unknown
            return Published(dead_letters=write_dead_letters(self._catalog, self._name, folder, manifest, run_id(manifest)))
        table = self._open(manifest.identity)
        letters = write_dead_letters(self._catalog, self._name, folder, manifest, run_id(manifest))
        return Attempt(table, folder, manifest, self._now()).run(letters)

    def _open(self, identity: RunIdentity) -> Table:
        try:
            table = self._catalog.load_table(self._identifier)
        except NoSuchTableError:
            table = self._create(identity)
        self._check_table(table, identity)
        return table

    def _create(self, identity: RunIdentity) -> Table:
        self._catalog.create_namespace_if_not_exists(self._name.namespace)
        schema = iceberg_schema(columns_of(identity))
        partition = PartitionField(source_id=1, field_id=1000, transform=BucketTransform(BUCKETS), name="id_bucket")
        try:
            return self._catalog.create_table(
                self._identifier, schema, partition_spec=PartitionSpec(partition), properties=table_properties.NEW_TABLE
            )
        except TableAlreadyExistsError:  # another writer has created it
            return self._catalog.load_table(self._identifier)

    def _check_table(self, table: Table, identity: RunIdentity | None) -> None:
        layout = table.properties.get(table_properties.FORMAT_PROPERTY, table_properties.FORMAT)
        if layout != table_properties.FORMAT:
            raise OutputError(
                f"{self._name} has layout {layout}, but this release writes {table_properties.FORMAT}: use the release that "
                "wrote it"
            )
        if identity is not None:
            check_columns(table.schema(), identity, str(self._name))

    @property
    def _identifier(self) -> tuple[str, str]:
        return self._name.namespace, self._name.name

    @contextmanager
    def _table_errors(self) -> Iterator[None]:
        """Converts errors of the catalogue and the file system. Conflicts pass."""
        try:
            yield
        except (CommitFailedException, ValidationException, UndertoneError):
            raise
        except CommitStateUnknownException as error:
            raise OutputError(
                f"it is unknown whether {self._name} was changed ({error}): publish the folder again, which completes it"
            ) from None
        except Exception as error:  # of SQLAlchemy, boto3, requests, Thrift, Arrow or pyiceberg
            raise OutputError(
                f"the table {self._name} cannot be used: {(str(error) or type(error).__name__).splitlines()[0]}"
            ) from None
