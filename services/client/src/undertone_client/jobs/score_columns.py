"""Columns of a scores table, for the folder of `undertone score` and the table of the Spark job."""

from collections.abc import Sequence

import pyarrow as pa

from undertone_client.jobs.errors import OutputError

PARAGRAPH = (
    pa.field("id", pa.string()),
    pa.field("document", pa.string()),
    pa.field("position", pa.int64()),
    pa.field("text_sha256", pa.string()),
)
"""The paragraph: `position` counts from 0 in its document, `text_sha256` is lowercase hex."""

LABEL = pa.field("label", pa.string())
"""The most probable emotion. A column with the probability of each emotion follows."""

INPUT = (
    pa.field("tokens", pa.int32()),
    pa.field("chunks", pa.int32()),
    pa.field("truncated", pa.bool_()),
)
"""The model's input, as in `Score`."""

MODEL = (
    pa.field("model_name", pa.string()),
    pa.field("model_version", pa.int64()),
    pa.field("precision", pa.string()),
    pa.field("policy", pa.string()),
)
"""The model and the policy of the score. Rows that differ in these are not comparable."""

SCORED_AT = pa.field("scored_at", pa.timestamp("us", tz="UTC"))


def score_columns(labels: Sequence[str], *, more: Sequence[pa.Field] = ()) -> list[pa.Field]:
    """All columns in order: those above, one for each of `labels`, and those in `more`.

    Raises:
        OutputError: a label has the name of another column.
    """
    before, after = (*PARAGRAPH, LABEL), (*INPUT, *MODEL, SCORED_AT, *more)
    if clash := {field.name for field in (*before, *after)}.intersection(labels):
        raise OutputError(f"the model has an emotion named {min(clash)!r}, which is the name of another column of the table")
    return [*before, *(pa.field(label, pa.float32()) for label in labels), *after]
