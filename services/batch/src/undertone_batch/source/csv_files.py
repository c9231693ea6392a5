"""CSV files, whose malformed rows are marked."""

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StringType, StructType

from undertone_batch.source.options import MALFORMED_COLUMN, option


def read_csv(spark: SparkSession, locations: Sequence[str], options: Mapping[str, str]) -> DataFrame:
    """The rows of CSV files. MALFORMED_COLUMN is not null for rows that cannot be parsed.

    Such a row has another number of fields than the header. With several files, Spark takes the
    names from the header of one of them; it refuses a file with other names if all names are
    usable as they are.
    """
    schema = spark.read.format("csv").options(**options).load(list(locations)).schema
    if not schema.fields:
        return spark.createDataFrame([], schema)
    checked = dict(options)
    if not option(options, "enforceSchema") and not has_made_up_names(schema):
        checked["enforceSchema"] = "false"
    reader = spark.read.format("csv").options(**checked).option("columnNameOfCorruptRecord", MALFORMED_COLUMN)
    return reader.schema(StructType([*schema.fields]).add(MALFORMED_COLUMN, StringType())).load(list(locations))


def has_made_up_names(schema: StructType) -> bool:
    """Whether Spark may have made up the name of a column.

    A column without a name, such as the index of pandas, is called `_c0`. The second and third of
    three columns `x` are called `x1` and `x2`, and the first `x0`.
    """
    names = [name.lower() for name in schema.names]
    for index, name in enumerate(names):
        stem = name.removesuffix(str(index))
        if name == f"_c{index}":
            return True
        if stem != name and any(other == f"{stem}{place}" for place, other in enumerate(names) if place != index):
            return True
    return False
