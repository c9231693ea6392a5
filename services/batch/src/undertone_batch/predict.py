"""`predict()`: a DataFrame of paragraphs in, the same with their scores out."""

from collections import deque
from collections.abc import Callable, Iterator

import pyarrow as pa
from pyspark.accumulators import Accumulator
from pyspark.sql import DataFrame
from pyspark.sql import functions as sql
from pyspark.sql.types import StructType
from undertone_client import SettingsError

from undertone_batch.columns import OUTCOME, outcome_columns
from undertone_batch.scoring import outcomes_of
from undertone_batch.service import Service
from undertone_batch.task_metrics import ExecutorMetrics, TaskMetrics, executor_name
from undertone_batch.worker import worker_for


def predict(
    paragraphs: DataFrame, service: Service, *, text: str = "text", metrics: Accumulator[ExecutorMetrics] | None = None
) -> DataFrame:
    """The paragraphs with their scores: the columns of the frame without that of the text, then those of `OUTCOME`.

    Exactly one row for each; the rows of a partition stay in order.

    Args:
        paragraphs: any frame whose other columns are not named as those of `OUTCOME`.
        service: the service to ask, from the executors.
        text: the column to be scored; strings, or binary in UTF-8.
        metrics: an accumulator with `ExecutorMetricsParam`, to which finished tasks add what they did.

    Raises:
        SettingsError: a column has the name of one that is added; Spark does not tell capitals from small letters.
    """
    kept = [field for field in paragraphs.schema.fields if field.name != text]
    for field in kept:
        if field.name.lower() in OUTCOME.names:
            raise SettingsError(f"the frame has a column {field.name!r}, and predict adds one of this name; rename it")
    # As bytes: Spark lets strings hold what is not UTF-8, and Arrow does not.
    sent = paragraphs.withColumn(text, sql.col(text).cast("binary"))
    return sent.mapInArrow(_scorer(service, text, metrics), StructType(kept + OUTCOME.fields))


def _scorer(
    service: Service, text: str, metrics: Accumulator[ExecutorMetrics] | None
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        waiting: deque[pa.RecordBatch] = deque()

        def texts() -> Iterator[pa.Array]:
            for batch in batches:
                waiting.append(batch.drop_columns([text]))
                yield batch.column(text)

        def done(finished: TaskMetrics) -> None:
            if metrics is not None:
                metrics.add({executor_name(): finished})

        for outcomes in outcomes_of(texts(), worker_for(service), done):
            kept = waiting.popleft()
            columns = dict(zip(kept.schema.names, kept.columns, strict=True)) | outcome_columns(outcomes)
            yield pa.RecordBatch.from_pydict(columns)

    return score
