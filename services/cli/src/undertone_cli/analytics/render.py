"""The SQL of the views for one engine, one table and its labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlglot import exp, parse_one
from undertone_client.errors import SettingsError
from undertone_client.jobs.catalog import CATALOG, TableName

from undertone_cli.analytics.dialects import Dialect, dialect_function
from undertone_cli.analytics.label_columns import LabelColumns
from undertone_cli.analytics.label_functions import LabelFunctions, label_table
from undertone_cli.analytics.views import VIEWS, View

BASELINE_DAYS = 7
"""Length of the default baseline period, which starts on the first day with scores."""


@dataclass(frozen=True, slots=True)
class Period:
    """Dates from `first` to `last`, both included.

    Raises:
        SettingsError: the last date is before the first.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise SettingsError(f"the baseline period {self.first}/{self.last} ends before it begins: swap the dates")


@dataclass(frozen=True, slots=True)
class Relations:
    """The names of tables and views in the SQL of the engine.

    Attributes:
        scores: the table of scores.
        dead_letters: the table of dead letters.
        scores_before: the table of older scores. May select a snapshot, such as
            `emotions.stories FOR VERSION AS OF 123`.
        view: the name of a view.
        create: the words before the name in a statement that creates a view.
    """

    scores: str = "scores"
    dead_letters: str = "dead_letters"
    scores_before: str = "scores_before"
    view: Callable[[str], str] = field(default=lambda name: name)
    create: str = "CREATE OR REPLACE VIEW"

    def of(self, name: str) -> str:
        """The name of a table or a view, as the engine's SQL."""
        return {
            "scores": self.scores,
            "dead_letters": self.dead_letters,
            "scores_before": self.scores_before,
        }.get(name) or self.view(name)


def iceberg_relations(
    dialect: Dialect, table: TableName, *, before: TableName | None = None, before_snapshot: int | None = None
) -> Relations:
    """The names for an Iceberg table: views are called NAMESPACE.NAME_<view>.

    In Spark, the views are temporary, because few Iceberg catalogues can store a view.

    Args:
        dialect: the engine.
        table: the table of scores.
        before: the table of older scores.  [default: NAME_before]
        before_snapshot: the Iceberg snapshot of that table.
    """
    older = before or TableName(table.namespace, table.name + "_before")
    prefix = "" if dialect is Dialect.ATHENA else f"{CATALOG}."
    snapshot = "" if before_snapshot is None else f" VERSION AS OF {before_snapshot}"
    if snapshot and dialect is Dialect.DUCKDB:
        raise SettingsError("DuckDB has no snapshots in views: use `undertone compare --as-of`, or another --dialect")
    if snapshot and dialect is Dialect.ATHENA:
        snapshot = f" FOR{snapshot}"
    views = f"{table.namespace}.{table.name}_" if dialect is Dialect.ATHENA else f"{table.name}_"
    return Relations(
        f"{prefix}{table}",
        f"{prefix}{table.dead_letters}",
        f"{prefix}{older}{snapshot}",
        lambda name: views + name,
        "CREATE OR REPLACE TEMPORARY VIEW" if dialect is Dialect.SPARK else "CREATE OR REPLACE VIEW",
    )


class Renderer:
    """Renders views for an engine.

    Args:
        dialect: the engine.
        labels: the labels of the table, in order.
        relations: the names of tables and views.
        multi_label: whether the table has the column `labels_above_threshold`.
        labels_before: the labels of `scores_before`.  [default: the same]
        multi_label_before: whether `scores_before` has that column.  [default: the same]
        baseline: the baseline period of drift.  [default: the first `BASELINE_DAYS` days]

    Raises:
        SettingsError: there are no labels.
    """

    def __init__(
        self,
        dialect: Dialect,
        labels: Sequence[str],
        relations: Relations | None = None,
        *,
        multi_label: bool = False,
        labels_before: Sequence[str] | None = None,
        multi_label_before: bool | None = None,
        baseline: Period | None = None,
    ) -> None:
        if not labels:
            raise SettingsError("the table has no column of an emotion: name the emotions with --label")
        self.dialect = dialect
        self._relations = relations or Relations()
        self._labels = LabelFunctions(
            LabelColumns("scores", tuple(labels), multi_label),
            LabelColumns(
                "scores_before",
                tuple(labels if labels_before is None else labels_before),
                multi_label if multi_label_before is None else multi_label_before,
            ),
        )
        self._baseline = baseline

    def query(self, view: View) -> str:
        """The SELECT of a view. It reads other views by their names."""
        query = view.query.copy().transform(self._replace)
        return query.sql(dialect=self.dialect.sqlglot, pretty=True, max_text_width=100)

    def statement(self, view: View) -> str:
        """The statement that creates the view, without a semicolon."""
        return f"{self._relations.create} {self._relations.view(view.name)} AS\n{self.query(view)}"

    def statements(self, *, comparisons: bool) -> list[str]:
        """The statements of all views, in order.

        Args:
            comparisons: whether to include the views that need `scores_before`.
        """
        return [self.statement(view) for view in VIEWS.values() if comparisons or not view.compares]

    def _replace(self, node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Table):
            return self._table(node)
        if isinstance(node, exp.Anonymous):
            return self._function(node)
        return node

    def _table(self, table: exp.Table) -> exp.Expr:
        if table.name.upper() in ("LABELS", "ALL_LABELS"):
            labels = self._labels.scores.labels if table.name.upper() == "LABELS" else self._labels.all_labels
            return label_table(labels, table.alias)
        if table.name not in VIEWS and table.name not in ("scores", "dead_letters", "scores_before"):
            return table  # a common table expression
        name = self._relations.of(table.name)
        # The name may select a snapshot, which only a whole query can.
        text = f"SELECT * FROM {name} AS {table.alias_or_name}"  # noqa: S608 - for parsing only
        select = parse_one(text, read=self.dialect.sqlglot)
        found = select.find(exp.Table)
        assert found is not None  # noqa: S101 - a FROM clause has a table
        return found

    def _function(self, function: exp.Anonymous) -> exp.Expr:
        name, arguments = function.name.upper(), function.expressions
        match name:
            case "BASELINE_FROM":
                return self._baseline_first()
            case "BASELINE_TO":
                return self._baseline_last()
        expanded = self._labels.expand(name, arguments)
        if expanded is not None:
            return expanded.transform(self._replace)
        arguments = [argument.transform(self._replace) for argument in arguments]
        return dialect_function(name, arguments, self.dialect) or function

    def _baseline_first(self) -> exp.Expr:
        text = f"DATE '{self._baseline.first}'" if self._baseline else "MIN(day) OVER ()"
        return parse_one(text, read="trino")

    def _baseline_last(self) -> exp.Expr:
        days = BASELINE_DAYS - 1
        default = f"CAST(MIN(day) OVER () + INTERVAL '{days}' DAY AS DATE)"
        return parse_one(f"DATE '{self._baseline.last}'" if self._baseline else default, read="trino")


def parse_period(text: str) -> Period:
    """Parses FIRST/LAST, such as 2026-03-01/2026-03-31.

    Raises:
        SettingsError: the text is no period.
    """
    first, _, last = text.partition("/")
    try:
        return Period(date.fromisoformat(first), date.fromisoformat(last))
    except ValueError:
        raise SettingsError(f"the baseline period {text!r} is invalid: use FIRST/LAST, such as 2026-03-01/2026-03-31") from None
