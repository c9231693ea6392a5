"""Functions of the views for which each engine has its own SQL."""

import enum
from collections.abc import Mapping
from typing import Final

import sqlglot
from sqlglot import exp


class Dialect(enum.StrEnum):
    """An engine."""

    ATHENA = "athena"
    """Amazon Athena, engine version 3. The statements are also those of Trino."""
    DUCKDB = "duckdb"
    SPARK = "spark"

    @property
    def sqlglot(self) -> str:
        """The name of the dialect in sqlglot."""
        # sqlglot's Athena would quote some statements for Hive. Athena runs views in Trino.
        return "trino" if self is Dialect.ATHENA else self.value


_TEMPLATES: Final[Mapping[str, Mapping[Dialect, str]]] = {
    # The date of a timestamp in UTC, whatever the time zone of the session is.
    "DAY_IN_UTC": {
        Dialect.ATHENA: "CAST({0} AT TIME ZONE 'UTC' AS DATE)",
        Dialect.DUCKDB: "CAST({0} AT TIME ZONE 'UTC' AS DATE)",
        Dialect.SPARK: "DATE_ADD(DATE '1970-01-01', CAST(FLOOR(UNIX_MICROS({0}) / 86400000000) AS INT))",
    },
    # A timestamp without a time zone, because Athena has no views with time zones.
    "TIME_IN_UTC": {
        Dialect.ATHENA: "CAST({0} AT TIME ZONE 'UTC' AS TIMESTAMP)",
        Dialect.DUCKDB: "CAST({0} AT TIME ZONE 'UTC' AS TIMESTAMP)",
        Dialect.SPARK: "TIMESTAMP_NTZ '1970-01-01 00:00:00' + MAKE_DT_INTERVAL(0, 0, 0, UNIX_MICROS({0}) / 1000000BD)",
    },
    # The second highest number of a list of two or more.
    "SECOND_HIGHEST": {
        Dialect.ATHENA: "ELEMENT_AT(ARRAY_SORT(ARRAY[{0}]), -2)",
        Dialect.DUCKDB: "LIST_SORT([{0}])[-2]",
        Dialect.SPARK: "ELEMENT_AT(ARRAY_SORT(ARRAY({0})), -2)",
    },
    # Whether a list has an element.
    "LIST_CONTAINS": {
        Dialect.ATHENA: "CONTAINS({0})",
        Dialect.DUCKDB: "LIST_CONTAINS({0})",
        Dialect.SPARK: "ARRAY_CONTAINS({0})",
    },
    "LIST_SIZE": {
        Dialect.ATHENA: "CARDINALITY({0})",
        Dialect.DUCKDB: "LEN({0})",
        Dialect.SPARK: "SIZE({0})",
    },
    # The sorted elements of a list of texts, as one text.
    "LIST_TEXT": {
        Dialect.ATHENA: "ARRAY_JOIN(ARRAY_SORT({0}), ', ')",
        Dialect.DUCKDB: "ARRAY_TO_STRING(LIST_SORT({0}), ', ')",
        Dialect.SPARK: "ARRAY_JOIN(ARRAY_SORT({0}), ', ')",
    },
}


def dialect_function(name: str, arguments: list[exp.Expr], dialect: Dialect) -> exp.Expr | None:
    """The expression of the engine for a function of the views. None for any other function."""
    template = _TEMPLATES.get(name.upper())
    if template is None:
        return None
    text = ", ".join(argument.sql(dialect=dialect.sqlglot) for argument in arguments)
    return sqlglot.parse_one(template[dialect].format(text), read=dialect.sqlglot)
