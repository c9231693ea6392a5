"""Functions of the views that depend on the labels of the model.

| function | value |
|---|---|
| `MODEL_OF(table)` | name, version, precision and policy |
| `HAS_LABEL(table, label)` | whether the paragraph has the label |
| `LABEL_COUNT(table)` | the number of labels of the paragraph: 1 from single-label models |
| `LABELS_OF(table)` | the labels of the paragraph as text |
| `PROBABILITY_OF(table, label)` | the column of `table` that `label` names |
| `SHIFT()` | the distance of the probabilities of `scores_before` and `scores`: 0 (equal) to 1 |
| `LABELS`, `ALL_LABELS` | tables with the column `emotion`; the second has older labels, too |
| `FLOORED_SHARE(share)` | the share, at least 0.0001 |

The labels of a paragraph are those above their threshold from a multi-label model, and the most
probable label from a single-label model. `certainty_functions` has further functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from undertone_cli.analytics.certainty_functions import certainty_function
from undertone_cli.analytics.label_columns import LabelColumns, add, extreme
from undertone_cli.formatting import NO_LABEL

MIN_SHARE = 0.0001
"""Smallest share in a PSI, whose logarithm is not finite for 0."""


def label_table(labels: Sequence[str], alias: str) -> exp.Expr:
    """A table with a row for each label, in the column `emotion`."""
    rows: list[tuple[str, ...]] = [(label,) for label in labels]
    return exp.values(rows, alias=alias, columns=["emotion"])


@dataclass(frozen=True, slots=True)
class LabelFunctions:
    """The functions for the labels of `scores` and of `scores_before`."""

    scores: LabelColumns
    before: LabelColumns

    @property
    def all_labels(self) -> list[str]:
        """The labels of both tables, without repetition."""
        return list(dict.fromkeys([*self.scores.labels, *self.before.labels]))

    def expand(self, name: str, arguments: list[exp.Expr]) -> exp.Expr | None:
        """The expression of a function. None if it is no function of the labels."""
        match name.upper(), arguments:
            case "MODEL_OF", [table]:
                return _model(table.name)
            case "HAS_LABEL", [table, label]:
                return _has_label(self._columns(table), label)
            case "LABEL_COUNT", [table]:
                columns = self._columns(table)
                return columns.by_kind(exp.Literal.number(1), _function("LIST_SIZE", columns.above_threshold))
            case "LABELS_OF", [table]:
                return _labels_text(self._columns(table))
            case "PROBABILITY_OF", [table, label]:
                return _probability_of(self._columns(table), label)
            case "SHIFT", []:
                return self._shift()
            case "FLOORED_SHARE", [share]:
                floor = exp.Literal.number(str(MIN_SHARE))
                return exp.case().when(exp.LT(this=share.copy(), expression=floor), floor.copy()).else_(share.copy())
        return certainty_function(self.scores, name.upper(), arguments)

    def _columns(self, table: exp.Expr) -> LabelColumns:
        return self.before if table.name == self.before.table else self.scores

    def _shift(self) -> exp.Expr:
        """The total variation distance of distributions, or the largest difference of a label."""
        differences: list[exp.Expr] = [
            exp.Abs(this=exp.Sub(this=self.scores.known(label), expression=self.before.known(label)))
            for label in self.all_labels
        ]
        distance = exp.Div(this=add(differences), expression=exp.Literal.number("2.0"))
        single = [columns.is_single_label for columns in (self.before, self.scores) if columns.multi_label]
        if not single:
            return distance
        return exp.case().when(exp.and_(*single), distance).else_(extreme(exp.Greatest, [each.copy() for each in differences]))


def _function(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _has_label(columns: LabelColumns, label: exp.Expr) -> exp.Expr:
    contains = _function("LIST_CONTAINS", columns.above_threshold, label.copy())
    return columns.by_kind(exp.EQ(this=columns.label, expression=label.copy()), contains)


def _labels_text(columns: LabelColumns) -> exp.Expr:
    text = _function("LIST_TEXT", columns.above_threshold)
    empty = exp.EQ(this=_function("LIST_SIZE", columns.above_threshold), expression=exp.Literal.number(0))
    return columns.by_kind(columns.label, exp.case().when(empty, exp.Literal.string(NO_LABEL)).else_(text))


def _probability_of(columns: LabelColumns, label: exp.Expr) -> exp.Expr:
    case = exp.Case(this=label.copy())
    for each in columns.labels:
        case = case.when(exp.Literal.string(each), columns.probability(each))
    return case


def _model(table: str) -> exp.Expr:
    version = exp.cast(exp.column("model_version", table), "VARCHAR", dialect="trino")
    precision = exp.column(exp.to_identifier("precision", quoted=True), table)
    space, opening, closing = (exp.Literal.string(text) for text in (" ", " (", ")"))
    name, policy = exp.column("model_name", table), exp.column("policy", table)
    texts: list[exp.Expr] = [name, space, version, space.copy(), precision, opening, policy, closing]
    joined: exp.Expr = texts[0]
    for text in texts[1:]:
        joined = exp.DPipe(this=joined, expression=text, safe=False)
    return joined
