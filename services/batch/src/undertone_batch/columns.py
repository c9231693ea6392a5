"""Outcomes as Arrow columns, and as Spark knows them."""

from collections.abc import Sequence
from typing import Any

import grpc
import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_schema
from undertone_client import Outcome, Score

_ARROW = pa.schema(
    [
        ("label", pa.string()),
        ("probabilities", pa.map_(pa.string(), pa.float32())),
        ("tokens", pa.int32()),
        ("chunks", pa.int32()),
        ("truncated", pa.bool_()),
        ("model_name", pa.string()),
        ("model_version", pa.int64()),
        ("precision", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("attempts", pa.int32()),
    ]
)
OUTCOME = from_arrow_schema(_ARROW)
"""`status` is the name of a gRPC status code. Of a score it is OK, and `reason` and `attempts` are null; of a failure all but
these three are."""


def outcome_columns(outcomes: Sequence[Outcome]) -> dict[str, pa.Array]:
    """An array for each field of OUTCOME, with a row for each outcome."""
    rows = [_row(outcome) for outcome in outcomes]
    return {field.name: pa.array([row[index] for row in rows], field.type) for index, field in enumerate(_ARROW)}


def _row(outcome: Outcome) -> tuple[Any, ...]:
    if not isinstance(outcome, Score):
        return (*(None,) * 8, outcome.status.name, outcome.reason, outcome.attempts)
    return (
        outcome.label,
        list(zip(outcome.labels, outcome.probabilities, strict=True)),
        outcome.tokens,
        outcome.chunks,
        outcome.truncated,
        outcome.model.name,
        outcome.model.version,
        outcome.model.precision,
        grpc.StatusCode.OK.name,
        None,
        None,
    )
