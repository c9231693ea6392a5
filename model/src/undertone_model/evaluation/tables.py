"""The tables of a report, as text for a terminal and as Markdown."""

from collections.abc import Iterator
from dataclasses import dataclass

from undertone_model.emotions import EMOTIONS
from undertone_model.evaluation.bootstrap import Estimate
from undertone_model.evaluation.coverage import CONFIDENCES
from undertone_model.evaluation.report import Flips, Report


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of texts with a title."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(report: Report) -> Iterator[TextTable]:
    """The tables that are not empty: one of scores for each test set, then confidence, robustness,
    documents, suites and flags.
    """
    yield from _scores(report)
    for table in (_coverage(report), _flips(report), _documents(report), _suites(report), _flags(report)):
        if table.rows:
            yield table


def markdown(report: Report) -> str:
    """All tables as Markdown."""
    parts = [
        f"Intervals are 95 % bootstrap intervals ({report.resamples:,} resamples, seed {report.seed}). Differences are "
        "paired differences of macro-F1 from the first row with no difference. `any` is the share of rows with one or more "
        "emotions whose label is one of them."
    ]
    for table in tables(report):
        lines = [f"**{table.title}**", "", _line(table.columns), _line(["---"] * len(table.columns))]
        parts.append("\n".join([*lines, *map(_line, table.rows)]))
    return "\n\n".join(parts) + "\n"


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _scores(report: Report) -> Iterator[TextTable]:
    for data in report.sets:
        columns = ("model", "accuracy", "macro-F1", "difference", "ECE", "any", *data.emotions)
        rows = tuple(
            (
                _model(scores.model, scores.calibration),
                _share(scores.accuracy.value),
                _estimate(scores.macro_f1),
                _difference(scores.difference),
                _share(scores.expected_calibration_error),
                _share(scores.any_match),
                *(f"{scores.f1[emotion]:.2f}".removeprefix("0") for emotion in data.emotions),
            )
            for scores in report.scores
            if scores.data == data.name
        )
        title = f"{data.name} ({data.license}): {data.rows:,} rows with one emotion"
        if data.with_several or data.with_none:
            title += f"; left out: {data.with_several:,} with several, {data.with_none:,} with none of the nine"
        if missing := [emotion for emotion in EMOTIONS if emotion not in data.emotions]:
            title += f"; macro-F1 without {', '.join(missing)}"
        yield TextTable(title, columns, rows)


def _coverage(report: Report) -> TextTable:
    columns = ("data", "model", *(f"≥ {confidence:.1f}" for confidence in CONFIDENCES), "AURC")
    rows = tuple(
        (
            scores.data,
            _model(scores.model, scores.calibration),
            *(f"{_share(point.coverage)} / {_share(point.accuracy)}" for point in scores.coverage),
            _share(scores.area_under_risk_coverage),
        )
        for scores in report.scores
        if scores.coverage
    )
    return TextTable("Coverage / accuracy of rows with this confidence; area under the risk-coverage curve", columns, rows)


def _flips(report: Report) -> TextTable:
    changes = tuple(dict.fromkeys(flips.perturbation for flips in report.flips))
    cells = {(flips.data, flips.model, flips.perturbation): flips for flips in report.flips}
    rows = tuple(
        (data, model, *(_flip(cells.get((data, model, change))) for change in changes))
        for data, model in dict.fromkeys((flips.data, flips.model) for flips in report.flips)
    )
    return TextTable("Share of labels that change with the text, and number of texts", ("data", "model", *changes), rows)


def _flip(flips: Flips | None) -> str:
    return f"{_estimate(flips.flips)} of {flips.texts:,}" if flips else ""


def _documents(report: Report) -> TextTable:
    columns = ("data", "model", "window", "merge", "found", "any emotion", "false alarms", "tokens")
    rows = tuple(
        (
            row.data,
            row.model,
            str(row.window_tokens),
            row.merge,
            _estimate(row.found),
            _estimate(row.emotional),
            _estimate(row.false_alarms),
            f"{row.tokens:,.0f}",
        )
        for row in report.documents
    )
    title = "One emotional paragraph among five neutral ones, and false alarms in six neutral ones"
    return TextTable(title, columns, rows)


def _suites(report: Report) -> TextTable:
    suites = tuple(dict.fromkeys(scores.suite for scores in report.suites))
    cells = {(scores.model, scores.suite): scores for scores in report.suites}
    names = {row.model: f"{_share(row.flips)} of labels, in {row.unstable} of {row.texts} texts" for row in report.names}
    rows = []
    for model in dict.fromkeys(scores.model for scores in report.suites):
        of_model = [cells[model, suite] for suite in suites]
        counts = [f"{count} of {row.texts}" for row in of_model for count in (row.accepted, row.literal)]
        rows.append((model, *counts, names.get(model, "")))
    columns = [f"{suite}: {kind}" for suite in suites for kind in ("accepted", "read literally")]
    return TextTable("Suites", ("model", *columns, "moved by a name"), tuple(rows))


def _flags(report: Report) -> TextTable:
    columns = ("model", "texts", "number", "right", "flagged", "language", "unreadable", "median confidence")
    rows = tuple(
        (
            scores.model,
            scores.data,
            f"{scores.texts:,}",
            "flag" if scores.must_have_flag else "no flag",
            *(f"{share:.1%}".replace("%", " %") for share in (scores.flagged, scores.language, scores.unreadable)),
            _share(scores.confidence),
        )
        for scores in report.flags
    )
    return TextTable("Texts with a flag", columns, rows)


def _model(name: str, calibration: str) -> str:
    return f"{name}, {calibration}" if calibration else name


def _share(value: float | None) -> str:
    """A number below one without its zero, as in the model card."""
    return "" if value is None else f"{value:.3f}".removeprefix("0")


def _estimate(estimate: Estimate) -> str:
    return f"{_share(estimate.value)} ({_share(estimate.low)} to {_share(estimate.high)})"


def _difference(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    value, low, high = (f"{number:+.3f}".replace("0.", ".", 1) for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"
