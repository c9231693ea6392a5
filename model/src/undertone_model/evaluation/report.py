"""Records of a benchmark. `--json` writes them."""

from collections.abc import Mapping
from dataclasses import dataclass

from undertone_model.evaluation.bootstrap import Estimate
from undertone_model.evaluation.coverage import Coverage
from undertone_model.evaluation.flag_scores import FlagScores


@dataclass(frozen=True, slots=True)
class SetDescription:
    """A test set. `rows` have exactly one emotion and are evaluated.

    `with_several` and `with_none` are the numbers of rows that are left out.
    """

    name: str
    license: str
    rows: int
    with_several: int
    with_none: int
    emotions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """Quality of a model with one calibration on one test set.

    `macro_f1` is the mean F1 of the emotions of the set. `difference` is its difference from the
    first model with its reference calibration; it is None for that model itself. `any_match` is the
    share of rows with one or more emotions whose label is one of them. The other values are None
    for a classifier without confidence.
    """

    data: str
    model: str
    calibration: str
    accuracy: Estimate
    macro_f1: Estimate
    difference: Estimate | None
    any_match: float
    f1: Mapping[str, float]
    expected_calibration_error: float | None
    area_under_risk_coverage: float | None
    coverage: tuple[Coverage, ...]


@dataclass(frozen=True, slots=True)
class Flips:
    """The share of the `texts` that a perturbation changed whose label changed too."""

    data: str
    model: str
    perturbation: str
    texts: int
    flips: Estimate


@dataclass(frozen=True, slots=True)
class SuiteScores:
    """Numbers of texts of a suite whose label is accepted, and is that of a literal reading."""

    suite: str
    model: str
    texts: int
    accepted: int
    literal: int


@dataclass(frozen=True, slots=True)
class NameScores:
    """Labels of the suite of names.

    `flips` is the share of texts whose label is not the most frequent label of the same text with
    other names. `unstable` is the number of the `texts` that have more than one label.
    """

    model: str
    texts: int
    names: int
    flips: float
    unstable: int


@dataclass(frozen=True, slots=True)
class DocumentScores:
    """Results for documents with one emotional paragraph among five neutral ones, and with six
    neutral paragraphs, in windows of `window_tokens` tokens with the merge `merge`.

    `documents` is the number of documents of each kind, and `tokens` the mean number of tokens of
    the windows of one. `found` is the share of documents with the label of their emotional
    paragraph, `emotional` the share with any emotion, and `false_alarms` the share of the neutral
    documents with any emotion.
    """

    data: str
    model: str
    window_tokens: int
    merge: str
    documents: int
    tokens: float
    found: Estimate
    emotional: Estimate
    false_alarms: Estimate


@dataclass(frozen=True, slots=True)
class Report:
    """All results of one benchmark."""

    seed: int
    resamples: int
    sets: tuple[SetDescription, ...]
    scores: tuple[Scores, ...]
    flips: tuple[Flips, ...]
    suites: tuple[SuiteScores, ...]
    names: tuple[NameScores, ...]
    flags: tuple[FlagScores, ...] = ()
    documents: tuple[DocumentScores, ...] = ()
