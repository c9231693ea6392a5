"""The figures of a comparison as tables of text, for the terminal and for Markdown."""

from collections.abc import Iterator
from dataclasses import dataclass

from undertone_cli.formatting import points
from undertone_cli.report.comparison import Shift
from undertone_cli.service_comparison.figures import Comparison, ServiceFigures

MAX_ROWS = 20
"""Rows of changed labels, and of probabilities."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table. All columns after the first `names` contain numbers. `note` explains the table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    note: str = ""


def tables(comparison: Comparison) -> Iterator[TextTable]:
    """The tables of a comparison. Tables without rows are left out."""
    yield _services(comparison)
    yield _result(comparison)
    if comparison.flips:
        shown = comparison.flips[:MAX_ROWS]
        rest = len(comparison.flips) - len(shown)
        yield TextTable(
            "Changed labels",
            ("baseline", "candidate", "paragraphs", "share of baseline's"),
            tuple((flip.before, flip.after, f"{flip.paragraphs:,}", f"{flip.share:.1%}") for flip in shown),
            2,
            f"{rest:,} less frequent changes are in the JSON output." if rest else "",
        )
    if comparison.shifts:
        yield TextTable(
            "Probabilities",
            ("label", "baseline", "candidate", "change", "mean absolute"),
            tuple(_probabilities(shift) for shift in comparison.shifts[:MAX_ROWS]),
            note="Means over the compared paragraphs. Changes are in percentage points.",
        )
    if comparison.largest:
        with_text = comparison.largest[0].text is not None
        yield TextTable(
            "Most changed paragraphs",
            ("id", "baseline", "candidate", *(["text"] if with_text else []), "distance"),
            tuple(
                (
                    str(each.id),
                    each.before,
                    each.after,
                    *([" ".join((each.text or "").split())] if with_text else []),
                    f"{each.shift:.3f}",
                )
                for each in comparison.largest
            ),
            4 if with_text else 3,
        )


def _probabilities(shift: Shift) -> tuple[str, ...]:
    change = points(shift.after - shift.before)
    return shift.label, f"{shift.before:.1%}", f"{shift.after:.1%}", change, _share(shift.absolute)


def _services(comparison: Comparison) -> TextTable:
    baseline, candidate = comparison.baseline, comparison.candidate
    rows = [
        ("address", baseline.target, candidate.target, ""),
        ("model", str(baseline.model), str(candidate.model), ""),
        ("scored", f"{baseline.scored:,}", f"{candidate.scored:,}", ""),
        ("failed", _failures(baseline), _failures(candidate), ""),
    ]
    if baseline.latency and candidate.latency:
        for name in ("p50", "p95", "p99"):
            then, now = getattr(baseline.latency, name), getattr(candidate.latency, name)
            rows.append((f"latency {name}", _milliseconds(then), _milliseconds(now), _ratio(now, then)))
        rows.append(("tokens", f"{baseline.tokens:,}", f"{candidate.tokens:,}", _ratio(candidate.tokens, baseline.tokens)))
        then, now = baseline.predict_seconds, candidate.predict_seconds
        rows.append(("model time", _milliseconds(then), _milliseconds(now), _ratio(now, then)))
    return TextTable(
        "Services",
        ("", "baseline", "candidate", "ratio"),
        tuple(rows),
        note="Latency is the time from the call to the answer, retries included. Model time is the mean duration of the "
        "call to the model server with the paragraph, which other paragraphs may share. It is no CPU time.",
    )


def _result(comparison: Comparison) -> TextTable:
    low, high = comparison.flip_rate_interval
    changed = f"{comparison.flipped:,}"
    if comparison.compared:
        changed += f" ({_share(comparison.flip_rate)}; 95 % interval {_share(low)} to {_share(high)})"
    rows = [
        ("compared", f"{comparison.compared:,} of {comparison.paragraphs:,} paragraphs"),
        ("labels changed", changed),
        ("mean distance", f"{comparison.mean_shift:.4f}"),
        ("failed only at baseline", f"{comparison.failed_only_at_baseline:,}"),
        ("failed only at candidate", f"{comparison.failed_only_at_candidate:,}"),
        ("failed at both", f"{comparison.failed_at_both:,}"),
    ]
    note = f"Policy {comparison.policy}. The distance of the probabilities of a paragraph is from 0 (equal) to 1."
    return TextTable("Result", ("", "paragraphs"), tuple(rows), 2, note)


def _failures(service: ServiceFigures) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in sorted(service.failures.items())) or "0"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


def _share(share: float) -> str:
    return f"{share:.2%}"


def _ratio(now: float, then: float) -> str:
    return f"{now / then:.2f}" if then else ""
