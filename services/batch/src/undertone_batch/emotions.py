"""`emotions()`: a column of scores for a column of texts, in anybody's DataFrame."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as sql
from pyspark.sql.pandas.functions import arrow_udf

from undertone_batch.columns import OUTCOME, outcome_columns
from undertone_batch.scoring import outcomes_of
from undertone_batch.service import Service
from undertone_batch.worker import worker_for


def emotions(text: Column | str, service: Service) -> Column:
    """The emotions of a column of texts, as a column of structs with the fields of `OUTCOME`.

    What cannot be scored, nulls included, has a null label, null probabilities, a gRPC `status` that is not OK, and a `reason`.

        scored = frame.withColumn("emotions", emotions("review", Service("undertone.example:50051")))
        scored.select("id", "emotions.label", "emotions.probabilities.joy")

    Spark may evaluate a column again for every action and every plan that names it: write the result, or cache it.

    Args:
        text: the column, or its name; strings, or binary in UTF-8.
        service: the service to ask, from the executors.
    """

    @arrow_udf(OUTCOME)  # type: ignore[call-overload, untyped-decorator]  # its stubs leave out the form by type hints
    def score(texts: Iterator[pa.Array]) -> Iterator[pa.Array]:
        for outcomes in outcomes_of(texts, worker_for(service)):
            columns = outcome_columns(outcomes)
            yield pa.StructArray.from_arrays(list(columns.values()), list(columns))

    # As bytes: Spark lets strings hold what is not UTF-8, and Arrow does not.
    column: Column = score((sql.col(text) if isinstance(text, str) else text).cast("binary"))
    return column
