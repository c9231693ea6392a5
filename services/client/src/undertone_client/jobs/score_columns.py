"""Columns of a scores table, for the folder of `undertone score` and the Iceberg table."""

from collections.abc import Sequence

import pyarrow as pa

from undertone_client.jobs.errors import OutputError

ID_COLUMN = pa.field("id", pa.string())
"""Column of the paragraph's id, if ids are strings. Integers have type int64 instead."""

PARAGRAPH_COLUMNS = (
    pa.field("document", pa.string()),
    pa.field("position", pa.int64()),
    pa.field("text_sha256", pa.string()),
)
"""Columns of the paragraph. `position` starts at 0 in each document, `text_sha256` is hex."""

LABELS_ABOVE_THRESHOLD_COLUMN = pa.field("labels_above_threshold", pa.list_(pa.field("element", pa.string())))
"""Column of the labels whose probability reaches their threshold, in the order of the model.

Only tables with scores of a multi-label model have it. An empty list means that the paragraph has
no label. Null means that a single-label model scored the paragraph.
"""

LABEL_COLUMN = pa.field("label", pa.string())
"""Column of the most probable label. A column with the probability of each label follows it."""

INPUT_COLUMNS = (
    pa.field("tokens", pa.int32()),
    pa.field("chunks", pa.int32()),
    pa.field("truncated", pa.bool_()),
)
"""Columns of the model's input. The values are as in `Score`."""

FLAGS_COLUMN = pa.field("flags", pa.string())
"""Column of the reasons why a score is not reliable, separated by commas, such as "language".

Empty for a normal text. Null if the score is of a release without flags. Tables of earlier releases
lack the column until a run writes to them.
"""

MODEL_COLUMNS = (
    pa.field("model_name", pa.string()),
    pa.field("model_version", pa.int64()),
    pa.field("precision", pa.string()),
    pa.field("policy", pa.string()),
)
"""Columns of the model and the policy. Scores of rows that differ in these are not comparable."""

SCORED_AT_COLUMN = pa.field("scored_at", pa.timestamp("us", tz="UTC"))

DELETED_AT_COLUMN = pa.field("deleted_at", pa.timestamp("us", tz="UTC"))
"""Column of the Iceberg table: the start of the paragraph's absence from the source, or null."""

DEAD_LETTER_COLUMNS = (
    pa.field("text_sha256", pa.string()),
    pa.field("status", pa.string()),
    pa.field("reason", pa.string()),
    pa.field("attempts", pa.int32()),
    pa.field("run_id", pa.string()),
    pa.field("failed_at", pa.timestamp("us", tz="UTC")),
)
"""Columns of the Iceberg table of dead letters, after `id`.

`status` is the name of a gRPC status code. `attempts` counts calls; 0 for a paragraph that was not
sent.
"""

_RENAME_LABEL = "Rename the label in the checkpoint (id2label in config.json) and export the model again"


def score_columns(
    labels: Sequence[str],
    *,
    multi_label: bool = False,
    id_type: pa.DataType = ID_COLUMN.type,
    kept: Sequence[pa.Field] = (),
    more: Sequence[pa.Field] = (),
) -> list[pa.Field]:
    """All columns of a table, in order: those of this module, one for each label, `more`, `kept`.

    Args:
        labels: The labels of the model.
        multi_label: Whether the table has scores of a multi-label model, and therefore
            `LABELS_ABOVE_THRESHOLD_COLUMN`. The name is reserved in all tables.
        id_type: The type of the ids.
        kept: Columns of the input that the table also has.
        more: Further columns of the kind of table.

    Raises:
        OutputError: two columns have the same name, or a label is empty. Case is ignored, as SQL
            engines do.
    """
    sets = (LABELS_ABOVE_THRESHOLD_COLUMN,) if multi_label else ()
    before = (ID_COLUMN.with_type(id_type), *PARAGRAPH_COLUMNS, *sets, LABEL_COLUMN)
    after = (*INPUT_COLUMNS, FLAGS_COLUMN, *MODEL_COLUMNS, SCORED_AT_COLUMN, *more)
    names = {field.name: field.name for field in (*before, LABELS_ABOVE_THRESHOLD_COLUMN, *after)}
    for label in labels:
        if not label.strip():
            raise OutputError(f"the model has a label named {label!r}, which cannot be the name of a column. {_RENAME_LABEL}")
        if (other := names.get(label.lower())) is not None:
            raise OutputError(
                f"the model has a label named {label!r}, but the table has a column {other!r}, and SQL engines ignore case."
                f" {_RENAME_LABEL}"
            )
        names[label.lower()] = label
    for field in kept:
        if field.name.lower() in names:
            raise OutputError(
                f"the input column {field.name!r} cannot be kept, because the table has another column of that name: rename it"
                f"{', or use another table' if names[field.name.lower()] in labels else ''}"
            )
        names[field.name.lower()] = field.name
    return [*before, *(pa.field(label, pa.float32()) for label in labels), *after, *kept]
