"""Scores as Arrow datasets: a folder of `undertone score`, Parquet files, or an Iceberg table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from undertone_client.errors import SettingsError
from undertone_client.jobs import InputError
from undertone_client.jobs.catalog import CatalogFactory, TableName
from undertone_client.jobs.score_columns import (
    DEAD_LETTER_COLUMNS,
    DELETED_AT_COLUMN,
    FLAGS_COLUMN,
    ID_COLUMN,
    INPUT_COLUMNS,
    LABEL_COLUMN,
    LABELS_ABOVE_THRESHOLD_COLUMN,
    MODEL_COLUMNS,
    PARAGRAPH_COLUMNS,
    SCORED_AT_COLUMN,
)

from undertone_cli.run_folder import Manifest, RunFolder, read_failures
from undertone_cli.sql.iceberg import IcebergDataset, open_table, snapshot_at, table_errors, table_exists

_REQUIRED = tuple(field.name for field in (ID_COLUMN, LABEL_COLUMN, *INPUT_COLUMNS, *MODEL_COLUMNS, SCORED_AT_COLUMN))
OPTIONAL = (*PARAGRAPH_COLUMNS, LABELS_ABOVE_THRESHOLD_COLUMN, FLAGS_COLUMN, DELETED_AT_COLUMN)
"""Columns that are NULL where the data does not have them."""


@dataclass(frozen=True, slots=True)
class ScoreSource:
    """Scores and dead letters.

    Attributes:
        name: the folder, pattern or table, for messages.
        scores: a dataset with the columns of a table of scores.
        dead_letters: a dataset or a table with the columns of dead letters.
        manifest: the manifest of a run folder.

    Raises:
        InputError: the columns are not those of a table of scores.
    """

    name: str
    scores: ds.Dataset
    dead_letters: ds.Dataset | pa.Table
    manifest: Manifest | None = None

    def __post_init__(self) -> None:
        missing = [name for name in _REQUIRED if name not in self.scores.schema.names]
        if missing or not self.labels:
            columns = ", ".join(missing) or "the emotions, between label and tokens"
            raise InputError(f"{self.name} is not a table of scores: it has no column {columns}")

    @property
    def labels(self) -> list[str]:
        """The emotions: the columns between `label` and `tokens`."""
        return _labels(self.scores.schema)

    @property
    def multi_label(self) -> bool:
        """Whether the scores have the column `labels_above_threshold`."""
        return LABELS_ABOVE_THRESHOLD_COLUMN.name in self.scores.schema.names

    @property
    def kept(self) -> list[str]:
        """The columns of the input that were kept."""
        own = {*_REQUIRED, *(field.name for field in OPTIONAL), *self.labels}
        return [name for name in self.scores.schema.names if name not in own]


def open_source(text: str, catalog: CatalogFactory, as_of: str | None = None) -> ScoreSource:
    """Opens the scores that a command's argument names.

    Args:
        text: a folder, a Parquet file, a pattern, or NAMESPACE.NAME of a table.
        catalog: the catalogue of a table.
        as_of: which snapshot of a table to read.  [default: the newest]

    Raises:
        InputError: there are no such scores.
        SettingsError: an option is invalid.
    """
    path = Path(text)
    if "://" in text:
        raise SettingsError(f"{text} is not local: copy the files here, or name an Iceberg table as NAMESPACE.NAME")
    local = path.exists() or has_magic(text)
    if not local and (path.suffix == ".parquet" or "/" in text or "." not in text):
        raise InputError(f"{text} does not exist: name a folder of scores, Parquet files, or a table as NAMESPACE.NAME")
    if not local:
        return _table_source(TableName.parse(text), catalog, as_of)
    if as_of is not None:
        raise SettingsError(f"--as-of is for Iceberg tables, which keep snapshots, but {text} is a file or a folder: remove it")
    if path.is_dir():
        return _folder_source(text, path)
    return _file_source(text, sorted(glob(text, recursive=True)) if has_magic(text) else [text])  # noqa: PTH207 - absolute, too


def _table_source(name: TableName, catalog: CatalogFactory, as_of: str | None) -> ScoreSource:
    settings = catalog()
    with table_errors(name, settings):
        table = open_table(name, settings)
        snapshot = None if as_of is None else snapshot_at(table, as_of)
        letters: ds.Dataset | pa.Table = _no_dead_letters()
        if as_of is None and table_exists(name.dead_letters, settings):
            letters = IcebergDataset(open_table(name.dead_letters, settings), None)
        return ScoreSource(str(name), IcebergDataset(table, snapshot), letters)


def _folder_source(text: str, path: Path) -> ScoreSource:
    folder = RunFolder(path)
    manifest = folder.read_manifest() if folder.parts() else None
    if manifest is None:
        hidden = ("_", ".")
        files = [
            each
            for each in path.rglob("*.parquet")
            if not any(part.startswith(hidden) for part in each.relative_to(path).parts)
        ]
        return _file_source(text, sorted(map(str, files)))
    dataset = _dataset(text, [str(part) for part in folder.parts()])
    return ScoreSource(text, dataset, _failures(folder, manifest, dataset.schema.field("id").type), manifest)


def _file_source(text: str, files: Sequence[str]) -> ScoreSource:
    if not files:
        raise InputError(f"{text} has no Parquet files of scores: score into it first, or name another folder")
    return ScoreSource(text, _dataset(text, files), _no_dead_letters())


def _dataset(text: str, files: Sequence[str]) -> ds.Dataset:
    try:
        first = ds.dataset(list(files), format="parquet")
        schemas = dict.fromkeys(fragment.physical_schema for fragment in first.get_fragments())
        return ds.dataset(list(files), format="parquet", schema=_unified(sorted(schemas, key=len, reverse=True)))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{text} cannot be read as Parquet files of one table: {str(error).splitlines()[0]}") from None


def _unified(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """One schema for files of models with other labels: all labels between `label` and `tokens`."""
    unified = pa.unify_schemas(schemas)
    labels = list(dict.fromkeys(label for schema in schemas for label in _labels(schema)))
    others = [name for name in unified.names if name not in labels]
    if LABEL_COLUMN.name not in others:
        return unified
    start = others.index(LABEL_COLUMN.name) + 1
    return pa.schema([unified.field(name) for name in (*others[:start], *labels, *others[start:])])


def _labels(schema: pa.Schema) -> list[str]:
    """The columns between `label` and `tokens`; none without both of these."""
    names, ends = schema.names, (LABEL_COLUMN.name, INPUT_COLUMNS[0].name)
    return list(names[names.index(ends[0]) + 1 : names.index(ends[1])]) if set(ends) <= set(names) else []


def _failures(folder: RunFolder, manifest: Manifest, id_type: pa.DataType) -> pa.Table:
    records: list[dict[str, Any]] = [
        {**asdict(failure), "failed_at": manifest.finished_at} for failure in read_failures(folder)
    ]
    return pa.Table.from_pylist(records, schema=_letters_schema(id_type))


def _no_dead_letters() -> pa.Table:
    return _letters_schema(ID_COLUMN.type).empty_table()


def _letters_schema(id_type: pa.DataType) -> pa.Schema:
    return pa.schema([ID_COLUMN.with_type(id_type), *DEAD_LETTER_COLUMNS])
