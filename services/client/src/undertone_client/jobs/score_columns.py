"""The columns of a table of scores, whoever keeps it: `undertone score` in a folder, the Spark job in a table of its own."""

from collections.abc import Sequence

import pyarrow as pa
from undertone_client.errors import OutputError

PARAGRAPH = (
    pa.field("id", pa.string()),
    pa.field("document", pa.string()),
    pa.field("position", pa.int64()),
    pa.field("text_sha256", pa.string()),
)
"""Which paragraph it is: `position` counts through the document from 0, `text_sha256` is lowercase hex."""

LABEL = pa.field("label", pa.string())
"""The most probable emotion. The columns of all emotions follow, with their probabilities."""

READING = (
    pa.field("tokens", pa.int32()),
    pa.field("chunks", pa.int32()),
    pa.field("truncated", pa.bool_()),
)
"""How the paragraph was read; as in `Score`."""

MODEL = (
    pa.field("model_name", pa.string()),
    pa.field("model_version", pa.int64()),
    pa.field("precision", pa.string()),
    pa.field("policy", pa.string()),
)
"""What made the score: rows that differ in these cannot be compared."""

SCORED_AT = pa.field("scored_at", pa.timestamp("us", tz="UTC"))


def score_columns(labels: Sequence[str], *, more: Sequence[pa.Field] = ()) -> list[pa.Field]:
    """All columns in order: those above, a probability for each of `labels`, and `more` of the table's own at the end.

    Raises:
        OutputError: an emotion is named as one of the other columns.
    """
    before, after = (*PARAGRAPH, LABEL), (*READING, *MODEL, SCORED_AT, *more)
    if clash := {field.name for field in (*before, *after)}.intersection(labels):
        raise OutputError(f"the model has an emotion named {min(clash)!r}, which is the name of a column of the table")
    return [*before, *(pa.field(label, pa.float32()) for label in labels), *after]
