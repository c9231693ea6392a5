"""One attempt to publish: the comparison with a snapshot of the table, new files, and a commit."""

import hashlib
import itertools
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, _dataframe_to_data_files
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask, Table, Transaction
from pyiceberg.transforms import BucketTransform
from undertone_client.jobs import table_properties
from undertone_client.jobs.score_columns import PARAGRAPH_COLUMNS

from undertone_cli.publish.changes import compare, compared_columns
from undertone_cli.publish.rows import GetBuckets, rows_by_bucket
from undertone_cli.publish.schema import arrow_schema, evolve
from undertone_cli.run_folder import Manifest, RunFolder, ScoreTable

DETAILS = tuple(field.name for field in PARAGRAPH_COLUMNS if field.name != "text_sha256")
"""Columns of the paragraph that are compared, and that do not determine its score."""


@dataclass(frozen=True, slots=True)
class Published:
    """Result of a publication.

    Attributes:
        added: new rows of the table.
        replaced: rows with a newer score or other kept columns.
        unchanged: rows that the table has already.
        newer: rows of the folder that are older than the table's, and are not published.
        snapshot: the new snapshot; None if there was nothing to change.
        dead_letters: dead letters that were written; None if there was nothing to change.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    newer: int = 0
    snapshot: int | None = None
    dead_letters: int | None = None


class Attempt:
    """One attempt on one snapshot of the table.

    Args:
        table: the table, as it was loaded.
        folder: the run folder, locked.
        manifest: its manifest, of a complete run.
        now: the current time.
    """

    def __init__(self, table: Table, folder: RunFolder, manifest: Manifest, now: datetime) -> None:
        self._table = table
        self._folder = folder
        self._manifest = manifest
        self._now = now
        self._counts = dict.fromkeys(("added", "replaced", "unchanged", "newer"), 0)
        self._transaction = Transaction(table)
        self._removed: list[DataFile] = []
        self._written: list[DataFile] = []
        self._write_uuid, self._file_numbers = uuid.uuid4(), itertools.count()

    def run(self, dead_letters: int | None) -> Published:
        """Compare, write files, and commit them if there is a change."""
        identity = self._manifest.identity
        evolve(self._transaction, identity)
        transform = bucket_transform(self._table)
        files = self._files(by_bucket=transform is not None)
        buckets: GetBuckets = _single_bucket
        count = 1
        if transform is not None:
            id_type = self._table.schema().find_field("id").field_type
            buckets, count = transform.pyarrow_transform(id_type), transform.num_buckets
        for each in rows_by_bucket(self._folder.parts(), ScoreTable(identity), buckets, count):
            self._merge(each.rows, files[each.bucket])
        if not self._written:
            return Published(**self._counts, dead_letters=dead_letters)
        with self._transaction.update_snapshot(snapshot_properties=self._properties()).overwrite() as snapshot:
            snapshot.commit_uuid = self._write_uuid
            for file in self._removed:
                snapshot.delete_data_file(file)
            for file in self._written:
                snapshot.append_data_file(file)
        committed = self._transaction.commit_transaction().current_snapshot()
        return Published(**self._counts, snapshot=committed.snapshot_id if committed else None, dead_letters=dead_letters)

    def _files(self, *, by_bucket: bool) -> defaultdict[int, list[FileScanTask]]:
        files: defaultdict[int, list[FileScanTask]] = defaultdict(list)
        if self._table.current_snapshot() is None:
            return files
        for task in self._table.scan().plan_files():
            files[task.file.partition[0] if by_bucket else 0].append(task)
        return files

    def _merge(self, new: pa.Table, tasks: list[FileScanTask]) -> None:
        """Add the changes of a bucket: the files to remove, and those to write."""
        present = {field.name for field in self._table.schema().fields}
        details = (*DETAILS, *self._manifest.identity.options.keep)
        names = tuple(name for name in compared_columns(details) if name in present)
        to_write, survivors = pa.array([True] * new.num_rows), []
        matched_rows = 0
        for task in tasks:
            old = self._read(task, names)
            comparison = compare(new, old, details, self._now)
            kept_rows = pc.and_(pc.is_valid(comparison.matched), pc.invert(comparison.replaced))
            matched_rows += old.num_rows - comparison.matched.null_count
            to_write = _without(to_write, comparison.matched.filter(kept_rows))
            self._counts["newer"] += comparison.kept
            if pc.any(comparison.replaced).as_py():
                self._removed.append(task.file)
                survivors.append(self._read(task).filter(pc.invert(comparison.replaced)))
        rows = new.filter(to_write)
        replaced = matched_rows - (new.num_rows - rows.num_rows)
        self._counts["added"] += rows.num_rows - replaced
        self._counts["replaced"] += replaced
        self._counts["unchanged"] += new.num_rows - rows.num_rows
        if rows.num_rows or survivors:
            self._write([*survivors, rows])

    def _read(self, task: FileScanTask, names: tuple[str, ...] | None = None) -> pa.Table:
        schema: Schema = self._table.schema()
        projected = schema if names is None else schema.select(*names)
        scan = ArrowScan(self._table.metadata, self._table.io, projected, AlwaysTrue())
        return scan.to_table([task]).combine_chunks()

    def _write(self, tables: list[pa.Table]) -> None:
        metadata = self._transaction.table_metadata
        schema = arrow_schema(metadata.schema())
        rows = pa.concat_tables([_conform(table, schema) for table in tables])
        files = _dataframe_to_data_files(
            metadata, rows, self._table.io, write_uuid=self._write_uuid, counter=self._file_numbers
        )
        self._written.extend(files)

    def _properties(self) -> dict[str, str]:
        identity = self._manifest.identity
        return {
            table_properties.RUN_ID: run_id(self._manifest),
            table_properties.MODE: "publish",
            table_properties.MODEL: str(identity.model),
            table_properties.POLICY: identity.policy.value,
            table_properties.SCORED: str(self._counts["added"] + self._counts["replaced"]),
            table_properties.FAILED: str(self._manifest.failed),
        }


def run_id(manifest: Manifest) -> str:
    """The id of a folder's run, the same in each publication."""
    identity = manifest.identity
    content = repr((manifest.started_at, [source.sha256 for source in identity.sources], identity.model, identity.policy))
    digest = hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()
    return f"score-{manifest.started_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest[:8]}"


def bucket_transform(table: Table) -> BucketTransform[Any] | None:
    """The transform of the ids that partitions all files of a table; None if there is none."""
    spec = table.spec()
    if len(spec.fields) != 1 or len(table.specs()) > 1:
        return None
    (field,) = spec.fields
    is_id = table.schema().find_column_name(field.source_id) == "id"
    return field.transform if is_id and isinstance(field.transform, BucketTransform) else None


def _single_bucket(ids: Any) -> Any:
    return pa.array([0] * len(ids), pa.int32())


def _without(mask: Any, indexes: Any) -> Any:
    """The mask with False at the indexes."""
    if not len(indexes):
        return mask
    positions = pa.array(range(len(mask)), indexes.type)
    return pc.and_(mask, pc.invert(pc.is_in(positions, value_set=pc.unique(indexes))))


def _conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with the columns of a table. Columns that they lack are null."""
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.schema.names else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
