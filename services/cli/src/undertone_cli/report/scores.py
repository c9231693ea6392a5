"""The scored paragraphs of a folder, as one Arrow table sorted by document and position."""

import pyarrow as pa
import pyarrow.compute as pc
from undertone_client.jobs import OutputError
from undertone_client.jobs.score_columns import MODEL

from undertone_cli.job.folder import OutputFolder
from undertone_cli.job.manifest import Manifest
from undertone_cli.job.table import ScoresTable


def read_scores(folder: OutputFolder, manifest: Manifest) -> pa.Table:
    """Read all parts; the columns are those of `ScoresTable`.

    Raises:
        OutputError: there are no scores, a part is damaged or has other columns, or parts come from different models.
    """
    reader = ScoresTable(manifest.identity)
    parts = [reader.read(path) for path in folder.parts()]
    table = pa.concat_tables(parts) if parts else reader.schema.empty_table()
    if table.num_rows == 0:
        raise OutputError(f"{folder.path} holds no scores: {_why_empty(manifest)}")
    _check_values(folder, table, manifest)
    _check_one_model(folder, table)
    return table.sort_by([("document", "ascending"), ("position", "ascending")])


def _check_values(folder: OutputFolder, table: pa.Table, manifest: Manifest) -> None:
    for label in manifest.identity.labels:
        if not pc.all(pc.is_finite(table[label])).as_py():
            raise OutputError(f"{folder.path}: the column {label!r} has gaps; the scores are damaged, score into a new folder")


def _check_one_model(folder: OutputFolder, table: pa.Table) -> None:
    names = [field.name for field in MODEL]
    models = table.select(names).group_by(names).aggregate([]).to_pylist()
    if len(models) > 1:
        found = ", ".join(sorted("{model_name} {model_version} {precision} ({policy})".format(**model) for model in models))
        raise OutputError(f"{folder.path} mixes scores that cannot be compared: {found}; score each into its own folder")


def _why_empty(manifest: Manifest) -> str:
    if manifest.failed:
        return f"all {manifest.failed} paragraphs failed; failures.jsonl says why"
    return "no paragraph was scored; check that the input was not empty and run `undertone score` again"
