"""Functions of the views that depend on the labels of the model.

| function | value |
|---|---|
| `HIGHEST_PROBABILITY()`, `SECOND_PROBABILITY()` | of the row of `scores` |
| `SECOND_LABEL(second)` | the emotion with the second highest probability `second` |
| `MODEL_OF(table)` | name, version, precision and policy |
| `ENTROPY()` | divided by the logarithm of the number of labels |
| `PROBABILITY_OF(table, emotion)` | the column of `table` that `emotion` names |
| `TOTAL_VARIATION(older, newer)` | half of the sum of the absolute differences |
| `LABELS`, `ALL_LABELS` | tables with the column `emotion`; the second has older labels, too |
| `FLOORED_SHARE(share)` | the share, at least 0.0001 |
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

MIN_SHARE = 0.0001
"""Smallest share in a PSI, whose logarithm is not finite for 0."""


def label_table(labels: Sequence[str], alias: str) -> exp.Expr:
    """A table with a row for each label, in the column `emotion`."""
    rows: list[tuple[str, ...]] = [(label,) for label in labels]
    return exp.values(rows, alias=alias, columns=["emotion"])


@dataclass(frozen=True, slots=True)
class LabelFunctions:
    """The functions for the labels of `scores` and of `scores_before`."""

    labels: Sequence[str]
    labels_before: Sequence[str]

    @property
    def all_labels(self) -> list[str]:
        """The labels of both tables, without repetition."""
        return list(dict.fromkeys([*self.labels, *self.labels_before]))

    def expand(self, name: str, arguments: list[exp.Expr]) -> exp.Expr | None:
        """The expression of a function. None if it is no function of the labels."""
        match name.upper(), arguments:
            case "HIGHEST_PROBABILITY", []:
                return self._highest()
            case "SECOND_PROBABILITY", []:
                return self._second()
            case "SECOND_LABEL", [second]:
                return self._second_label(second)
            case "ENTROPY", []:
                return self._entropy()
            case "MODEL_OF", [table]:
                return _model(table.name)
            case "PROBABILITY_OF", [table, emotion]:
                return self._probability_of(table.name, emotion)
            case "TOTAL_VARIATION", [older, newer]:
                return self._total_variation(older.name, newer.name)
            case "FLOORED_SHARE", [share]:
                floor = exp.Literal.number(str(MIN_SHARE))
                return exp.case().when(exp.LT(this=share.copy(), expression=floor), floor.copy()).else_(share.copy())
        return None

    def _highest(self) -> exp.Expr:
        first, *others = self._probabilities()
        return exp.Greatest(this=first, expressions=others, ignore_nulls=True) if others else first

    def _second(self) -> exp.Expr:
        # The 0 is the second probability of a model with one label, and changes nothing in others.
        return exp.Anonymous(this="SECOND_HIGHEST", expressions=[*self._probabilities(), _zero()])

    def _second_label(self, second: exp.Expr) -> exp.Expr:
        if len(self.labels) < 2:
            return exp.cast(exp.null(), "VARCHAR", dialect="trino")
        case, first = exp.case(), exp.column("label", "scores")
        for label in self.labels:
            text = exp.Literal.string(label)
            is_second = exp.EQ(this=_known("scores", label), expression=second.copy())
            case = case.when(exp.and_(is_second, first.neq(text)), text.copy())
        return case

    def _entropy(self) -> exp.Expr:
        if len(self.labels) < 2:
            return _zero()
        terms = [_entropy_term(value) for value in self._probabilities()]
        return exp.Div(this=exp.paren(_sum(terms)), expression=exp.Literal.number(repr(math.log(len(self.labels)))))

    def _probability_of(self, table: str, emotion: exp.Expr) -> exp.Expr:
        labels = self.labels_before if table == "scores_before" else self.labels
        case = exp.Case(this=emotion.copy())
        for label in labels:
            case = case.when(exp.Literal.string(label), _probability(table, label))
        return case

    def _total_variation(self, older: str, newer: str) -> exp.Expr:
        terms = []
        for label in self.all_labels:
            before = _known(older, label) if label in self.labels_before else _zero()
            after = _known(newer, label) if label in self.labels else _zero()
            terms.append(exp.Abs(this=exp.Sub(this=after, expression=before)))
        return exp.Div(this=exp.paren(_sum(terms)), expression=exp.Literal.number("2.0"))

    def _probabilities(self) -> list[exp.Expr]:
        return [_known("scores", label) for label in self.labels]


def _probability(table: str, label: str) -> exp.Expr:
    return exp.cast(exp.column(exp.to_identifier(label, quoted=True), table), "DOUBLE", dialect="trino")


def _known(table: str, label: str) -> exp.Expr:
    """The probability, or 0 in a row that an older model without this label scored."""
    return exp.Coalesce(this=_probability(table, label), expressions=[_zero()])


def _zero() -> exp.Expr:
    return exp.Literal.number(0)


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


def _entropy_term(probability: exp.Expr) -> exp.Expr:
    term = exp.Mul(this=exp.Neg(this=probability.copy()), expression=exp.Ln(this=probability.copy()))
    return exp.case().when(exp.GT(this=probability.copy(), expression=_zero()), term).else_(_zero())


def _sum(terms: Sequence[exp.Expr]) -> exp.Expr:
    total = terms[0]
    for term in terms[1:]:
        total = exp.Add(this=total, expression=term)
    return total
