"""Columns of a scores table, for the folder of `undertone score` and the table of the Spark job."""

from collections.abc import Sequence

import pyarrow as pa

from undertone_client.jobs.errors import OutputError

PARAGRAPH_COLUMNS = (
    pa.field("id", pa.string()),
    pa.field("document", pa.string()),
    pa.field("position", pa.int64()),
    pa.field("text_sha256", pa.string()),
)
"""Columns of the paragraph. `position` starts at 0 in each document, `text_sha256` is hex."""

LABEL_COLUMN = pa.field("label", pa.string())
"""Column of the most probable emotion. A column with the probability of each emotion follows it."""

INPUT_COLUMNS = (
    pa.field("tokens", pa.int32()),
    pa.field("chunks", pa.int32()),
    pa.field("truncated", pa.bool_()),
)
"""Columns of the model's input. The values are as in `Score`."""

MODEL_COLUMNS = (
    pa.field("model_name", pa.string()),
    pa.field("model_version", pa.int64()),
    pa.field("precision", pa.string()),
    pa.field("policy", pa.string()),
)
"""Columns of the model and the policy. Scores of rows that differ in these are not comparable."""

SCORED_AT_COLUMN = pa.field("scored_at", pa.timestamp("us", tz="UTC"))


def score_columns(labels: Sequence[str], *, more: Sequence[pa.Field] = ()) -> list[pa.Field]:
    """All columns of a table, in order: those of this module, one for each label, and `more`.

    Raises:
        OutputError: a label has the name of another column.
    """
    before, after = (*PARAGRAPH_COLUMNS, LABEL_COLUMN), (*INPUT_COLUMNS, *MODEL_COLUMNS, SCORED_AT_COLUMN, *more)
    if clash := {field.name for field in (*before, *after)}.intersection(labels):
        raise OutputError(f"the model has an emotion named {min(clash)!r}, which is the name of another column of the table")
    return [*before, *(pa.field(label, pa.float32()) for label in labels), *after]
