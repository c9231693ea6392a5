"""Functions of the views for the certainty of the model about a row of `scores`.

| function | value |
|---|---|
| `HIGHEST_PROBABILITY()`, `SECOND_PROBABILITY()` | of the row |
| `SECOND_LABEL(second)` | the label with the second highest probability `second` |
| `MARGIN(highest, second)` | 0 if the model cannot decide between the two most probable results |
| `ENTROPY()` | divided by its maximum |

A single-label model decides between all labels. A multi-label model decides for each label whether
the paragraph has it: `MARGIN` is that of the least certain label, `ENTROPY` the mean of all labels.
"""

import math

from sqlglot import exp

from undertone_cli.analytics.label_columns import LabelColumns, add, extreme, zero


def certainty_function(columns: LabelColumns, name: str, arguments: list[exp.Expr]) -> exp.Expr | None:
    """The expression of a function. None for any other function."""
    match name, arguments:
        case "HIGHEST_PROBABILITY", []:
            return extreme(exp.Greatest, columns.probabilities)
        case "SECOND_PROBABILITY", []:
            # The 0 is the second probability of a model with one label. It changes no other.
            return exp.Anonymous(this="SECOND_HIGHEST", expressions=[*columns.probabilities, zero()])
        case "SECOND_LABEL", [second]:
            return _second_label(columns, second)
        case "MARGIN", [highest, second]:
            return columns.by_kind(exp.Sub(this=highest.copy(), expression=second.copy()), _smallest_margin(columns))
        case "ENTROPY", []:
            return columns.by_kind(_entropy(columns), _mean_entropy(columns))
    return None


def _second_label(columns: LabelColumns, second: exp.Expr) -> exp.Expr:
    if len(columns.labels) < 2:
        return exp.cast(exp.null(), "VARCHAR", dialect="trino")
    case = exp.case()
    for label in columns.labels:
        text = exp.Literal.string(label)
        is_second = exp.EQ(this=columns.known(label), expression=second.copy())
        case = case.when(exp.and_(is_second, columns.label.neq(text)), text.copy())
    return case


def _smallest_margin(columns: LabelColumns) -> exp.Expr:
    """The smallest difference between the probabilities of having and of not having a label."""
    terms: list[exp.Expr] = []
    for value in columns.probabilities:
        doubled = exp.Mul(this=exp.Literal.number(2), expression=value)
        terms.append(exp.Abs(this=exp.Sub(this=doubled, expression=exp.Literal.number(1))))
    return extreme(exp.Least, terms)


def _entropy(columns: LabelColumns) -> exp.Expr:
    """The entropy of the distribution over the labels of the row's model."""
    if len(columns.labels) < 2:
        return zero()
    entropy = add([_entropy_term(value) for value in columns.probabilities])
    count = _label_count(columns)
    maximum = exp.Ln(this=exp.cast(count, "DOUBLE", dialect="trino"))
    is_certain = exp.LT(this=count.copy(), expression=exp.Literal.number(2))
    return exp.case().when(is_certain, zero()).else_(exp.Div(this=entropy, expression=maximum))


def _mean_entropy(columns: LabelColumns) -> exp.Expr:
    """The mean entropy of having each label of the row's model or not."""
    terms: list[exp.Expr] = []
    for value in columns.probabilities:
        complement = exp.paren(exp.Sub(this=exp.Literal.number(1), expression=value))
        terms += [_entropy_term(value), _entropy_term(complement)]
    count = exp.cast(exp.Nullif(this=_label_count(columns), expression=zero()), "DOUBLE", dialect="trino")
    maximum = exp.Mul(this=count, expression=exp.Literal.number(repr(math.log(2))))
    return exp.Div(this=add(terms), expression=exp.paren(maximum))


def _entropy_term(probability: exp.Expr) -> exp.Expr:
    term = exp.Mul(this=exp.Neg(this=probability.copy()), expression=exp.Ln(this=probability.copy()))
    return exp.case().when(exp.GT(this=probability.copy(), expression=zero()), term).else_(zero())


def _label_count(columns: LabelColumns) -> exp.Expr:
    """The number of labels of the row's model."""
    terms: list[exp.Expr] = []
    for label in columns.labels:
        is_unknown = exp.Is(this=columns.probability(label), expression=exp.null())
        terms.append(exp.case().when(is_unknown, zero()).else_(exp.Literal.number(1)))
    return add(terms)
