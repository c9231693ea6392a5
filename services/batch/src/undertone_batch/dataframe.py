"""Scores in any DataFrame.

`emotions()` adds one column, `predict()` adds all columns of the outcome.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import grpc
import pandas as pd
import pyarrow as pa
from pyspark.accumulators import Accumulator
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sql
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType
from undertone_client import Outcome, ProblemType, Score, SettingsError
from undertone_client.jobs.score_columns import FLAGS_COLUMN, LABELS_ABOVE_THRESHOLD_COLUMN

from undertone_batch.config import Service
from undertone_batch.connect import uses_connect
from undertone_batch.source.columns import find_path, list_names, quoted
from undertone_batch.summary import ExecutorMetrics, TaskMetrics, executor_name
from undertone_batch.worker import score_arrays, worker_for

_ARROW = pa.schema(
    [
        ("label", pa.string()),
        ("probabilities", pa.map_(pa.string(), pa.float32())),
        LABELS_ABOVE_THRESHOLD_COLUMN,
        ("tokens", pa.int32()),
        ("chunks", pa.int32()),
        ("truncated", pa.bool_()),
        FLAGS_COLUMN,
        ("model_name", pa.string()),
        ("model_version", pa.int64()),
        ("precision", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("attempts", pa.int32()),
    ]
)
_TEXT = "_undertone_text"
"""The column with the text on its way to Python."""

OUTCOME = from_arrow_schema(_ARROW)
"""The columns of an outcome.

`status` is the name of a gRPC status code: OK for a score, whose `reason` and `attempts` are null.
A failure has only `status`, `reason` and `attempts`. `labels_above_threshold` has the labels of a
multi-label model whose probability reaches their threshold; null from a single-label model.
`flags` are the reasons why a score is not reliable, separated by commas; empty for a normal text.
"""


def emotions(text: Column | str, service: Service) -> Column:
    """Scores a column of texts into a column of structs with the fields of `OUTCOME`.

    A text that cannot be scored, such as null, has a null label, null probabilities, a gRPC
    `status` other than OK, and a `reason`.

        service = Service("undertone.example:50051")
        scored = frame.withColumn("emotions", emotions("review", service))
        scored.select("id", "emotions.label", "emotions.probabilities.joy")
        scored.where("array_contains(emotions.labels_above_threshold, 'joy')")  # multi-label models

    Spark may compute a column again for every action and every plan that uses it: write or cache
    the result.

    Args:
        text: The column or its name. Strings, or UTF-8 as binary.
        service: The service. The executors call it.
    """

    # Not `arrow_udf`, which is new in Spark 4.1. With pandas, a row takes 30 to 45 µs more.
    @pandas_udf(OUTCOME)  # type: ignore[call-overload, untyped-decorator]  # the stubs lack the form with type hints
    def score(texts: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        arrays = (pa.array(series, pa.binary()) for series in texts)
        for outcomes in score_arrays(arrays, worker_for(service)):
            yield outcome_frame(outcomes)

    # As binary: a string of Spark may contain invalid UTF-8, which Arrow rejects.
    column: Column = score((sql.col(text) if isinstance(text, str) else text).cast("binary"))
    return column


def predict(
    paragraphs: DataFrame, service: Service, *, text: str = "text", metrics: Accumulator[ExecutorMetrics] | None = None
) -> DataFrame:
    """Scores a frame: its columns without the text, followed by the columns of `OUTCOME`.

    The result has one row for each row of the frame. The rows of a partition keep their order.

    Args:
        paragraphs: Any frame without a column named like one of `OUTCOME`.
        service: The service. The executors call it.
        text: The column to score, or a field of a struct such as `post.text`. Strings, or UTF-8 as
            binary. A column with exactly this name precedes one whose name differs in case.
        metrics: An accumulator with `ExecutorMetricsParam`. Finished tasks add to it.

    Raises:
        SettingsError: there is no such column, a column is named like one of `OUTCOME` (Spark
            ignores case), or `metrics` is set for a frame of Spark Connect.
    """
    if metrics is not None and uses_connect(paragraphs):
        raise SettingsError("metrics is an accumulator, which Spark Connect does not have: call predict without metrics")
    path = find_path(paragraphs.schema, text)
    if path is None:
        raise SettingsError(f"the frame has no column {text!r} (its columns: {list_names(paragraphs.schema.names)}): set text")
    other_fields = [field for field in paragraphs.schema.fields if len(path) > 1 or field is not path[0]]
    for field in other_fields:
        if field.name.lower() in OUTCOME.names:
            raise SettingsError(f"the frame has a column {field.name!r}, and predict adds a column of that name: rename it")
    # As binary: a string of Spark may contain invalid UTF-8, which Arrow rejects.
    # Numbers as names, because mapInArrow does not find a column with a dot in its name.
    with_bytes = paragraphs.select(
        *(sql.col(quoted(field.name)).alias(str(index)) for index, field in enumerate(other_fields)),
        sql.col(quoted(*(field.name for field in path))).cast("binary").alias(_TEXT),
    )
    names = [field.name for field in other_fields]
    return with_bytes.mapInArrow(_batch_scorer(service, names, metrics), StructType(other_fields + OUTCOME.fields))


def _batch_scorer(
    service: Service, names: Sequence[str], metrics: Accumulator[ExecutorMetrics] | None
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        pending: deque[pa.RecordBatch] = deque()

        def texts() -> Iterator[pa.Array]:
            for batch in batches:
                pending.append(batch.drop_columns([_TEXT]))
                yield batch.column(_TEXT)

        def add_metrics(task: TaskMetrics) -> None:
            if metrics is not None:
                metrics.add({executor_name(): task})

        for outcomes in score_arrays(texts(), worker_for(service), add_metrics):
            other_columns = pending.popleft()
            columns = dict(zip(names, other_columns.columns, strict=True)) | outcome_columns(outcomes)
            yield pa.RecordBatch.from_pydict(columns)

    return score


def outcome_columns(outcomes: Sequence[Outcome]) -> dict[str, pa.Array]:
    """The columns of `OUTCOME`, with one row for each outcome."""
    rows = [_row(outcome) for outcome in outcomes]
    return {field.name: pa.array([row[index] for row in rows], field.type) for index, field in enumerate(_ARROW)}


def outcome_frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """The columns of `OUTCOME` as objects, so that pandas does not convert integers to floats."""
    frame = pd.DataFrame([_row(outcome) for outcome in outcomes], columns=_ARROW.names, dtype=object)
    # Spark converts a map of pandas from a dict only.
    frame["probabilities"] = [dict(pairs) if pairs is not None else None for pairs in frame["probabilities"]]
    return frame


def _row(outcome: Outcome) -> tuple[Any, ...]:
    if not isinstance(outcome, Score):
        return (*(None,) * 10, outcome.status.name, outcome.reason, outcome.attempts)
    return (
        outcome.label,
        list(zip(outcome.labels, outcome.probabilities, strict=True)),
        list(outcome.labels_above_threshold) if outcome.problem_type is ProblemType.MULTI_LABEL else None,
        outcome.tokens,
        outcome.chunks,
        outcome.truncated,
        outcome.flags_text,
        outcome.model.name,
        outcome.model.version,
        outcome.model.precision,
        grpc.StatusCode.OK.name,
        None,
        None,
    )
