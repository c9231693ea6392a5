"""The columns of the labels of a table of scores, as expressions of SQL."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

ABOVE_THRESHOLD = "labels_above_threshold"
"""The column of the labels of a paragraph. NULL if a single-label model scored it."""


@dataclass(frozen=True, slots=True)
class LabelColumns:
    """The columns of one table.

    Attributes:
        table: the name of the table in a view.
        labels: the labels, each the name of the column with its probability.
        multi_label: whether the table has the column `labels_above_threshold`.
    """

    table: str
    labels: Sequence[str]
    multi_label: bool = False

    def probability(self, label: str) -> exp.Expr:
        """The probability of a label. NULL if the model of the row does not have the label."""
        return exp.cast(exp.column(exp.to_identifier(label, quoted=True), self.table), "DOUBLE", dialect="trino")

    def known(self, label: str) -> exp.Expr:
        """The probability, or 0 if the model of the row, or the table, does not have the label."""
        return exp.Coalesce(this=self.probability(label), expressions=[zero()]) if label in self.labels else zero()

    @property
    def probabilities(self) -> list[exp.Expr]:
        """The probabilities of all labels, 0 if the model of the row does not have the label."""
        return [self.known(label) for label in self.labels]

    @property
    def is_single_label(self) -> exp.Expr:
        """Whether a single-label model scored the row."""
        return exp.Is(this=self.above_threshold, expression=exp.null())

    @property
    def above_threshold(self) -> exp.Expr:
        """The labels whose probability reaches their threshold."""
        return exp.column(ABOVE_THRESHOLD, self.table)

    @property
    def label(self) -> exp.Expr:
        """The most probable label."""
        return exp.column("label", self.table)

    def by_kind(self, single: exp.Expr, multi: exp.Expr) -> exp.Expr:
        """`single` in the rows of single-label models, `multi` in those of multi-label models."""
        return exp.case().when(self.is_single_label, single).else_(multi) if self.multi_label else single


def zero() -> exp.Expr:
    """The number 0."""
    return exp.Literal.number(0)


def add(terms: Sequence[exp.Expr]) -> exp.Expr:
    """The sum of terms, in parentheses."""
    total = terms[0]
    for term in terms[1:]:
        total = exp.Add(this=total, expression=term)
    return exp.paren(total)


def extreme(kind: type[exp.Greatest | exp.Least], terms: Sequence[exp.Expr]) -> exp.Expr:
    """The greatest or the least of terms that are not NULL."""
    first, *others = terms
    return kind(this=first, expressions=others, ignore_nulls=True) if others else first
