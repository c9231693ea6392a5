"""The scored paragraphs of a folder, as one Arrow table sorted by document and position."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from undertone_client.job.manifest import Manifest
from undertone_client.report.errors import ReportError

MODEL_COLUMNS = ("model_name", "model_version", "precision", "policy")


def read_scores(folder: Path, manifest: Manifest) -> pa.Table:
    """Read all of `folder/scores/part-*.parquet`; columns as in `score_schema`.

    Raises:
        ReportError: there are no scores, a part is damaged or lacks a column, or parts come from different models.
    """
    schema = score_schema(manifest.identity.labels)
    parts = [_read_part(path, schema) for path in sorted((folder / "scores").glob("part-*.parquet"))]
    table = pa.concat_tables(parts) if parts else schema.empty_table()
    if table.num_rows == 0:
        raise ReportError(f"{folder} holds no scores: {_why_empty(manifest)}")
    _check_values(folder, table, manifest)
    _check_one_model(folder, table)
    return table.sort_by([("document", "ascending"), ("position", "ascending")])


def score_schema(labels: tuple[str, ...]) -> pa.Schema:
    """The columns that a report reads: identity, strongest label, a probability per label, tokens, and the model."""
    return pa.schema(
        [
            ("id", pa.string()),
            ("document", pa.string()),
            ("position", pa.int64()),
            ("text_sha256", pa.string()),
            ("label", pa.string()),
            *((label, pa.float32()) for label in labels),
            ("tokens", pa.int32()),
            ("chunks", pa.int32()),
            ("truncated", pa.bool_()),
            ("model_name", pa.string()),
            ("model_version", pa.int64()),
            ("precision", pa.string()),
            ("policy", pa.string()),
        ]
    )


def _read_part(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        with pq.ParquetFile(path) as part:
            missing = [name for name in schema.names if name not in part.schema_arrow.names]
            if not missing:
                return part.read(columns=schema.names).select(schema.names).cast(schema)
    except (OSError, pa.ArrowException) as error:
        raise ReportError(
            f"{path} cannot be read ({str(error).splitlines()[0]}); delete it and run the same `undertone score` again"
        ) from None
    raise ReportError(f"{path} has no column {', '.join(missing)}, which run.json promises; score into a new folder")


def _check_values(folder: Path, table: pa.Table, manifest: Manifest) -> None:
    for name in table.column_names:
        finite = name not in manifest.identity.labels or pc.all(pc.is_finite(table[name])).as_py()
        if table[name].null_count or not finite:
            raise ReportError(f"{folder}: the column {name!r} has gaps; the scores are damaged, score into a new folder")


def _check_one_model(folder: Path, table: pa.Table) -> None:
    models = table.select(MODEL_COLUMNS).group_by(MODEL_COLUMNS).aggregate([]).to_pylist()
    if len(models) > 1:
        found = ", ".join(sorted("{model_name} {model_version} {precision} ({policy})".format(**model) for model in models))
        raise ReportError(f"{folder} mixes scores that cannot be compared: {found}; score each into its own folder")


def _why_empty(manifest: Manifest) -> str:
    if manifest.failed:
        return f"all {manifest.failed} paragraphs failed; failures.jsonl says why"
    return "no paragraph was scored; check that the input was not empty and run `undertone score` again"
