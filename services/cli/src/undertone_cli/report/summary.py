"""The records of a report: totals per label, strongest paragraphs and failures."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from undertone_cli.formatting import percent
from undertone_cli.run_folder import FailureRecord

EXAMPLE_IDS = 5


@dataclass(frozen=True, slots=True)
class LabelTotal:
    """Totals of one label over all scored paragraphs.

    Attributes:
        label: the label.
        paragraphs: number of paragraphs that have the label. With a single-label model, each
            paragraph has its most probable label.
        share: share of these paragraphs.
        mean: mean probability over all paragraphs.
        confidence: mean probability over the paragraphs that have the label. None if none has it.
        threshold: the smallest probability with which a paragraph has the label. None with a
            single-label model.
    """

    label: str
    paragraphs: int
    share: float
    mean: float
    confidence: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class StrongParagraph:
    """A paragraph with a high probability of a label, without its text."""

    id: str | int
    document: str
    position: int
    text_sha256: str
    probability: float
    flags: str | None = None
    """Reasons why the score is not reliable, separated by commas. None or empty without any."""


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures with the same gRPC status: their number, most frequent reason, and the first ids."""

    status: str
    count: int
    reason: str
    ids: tuple[str | int, ...]


def describe_totals(totals: Sequence[LabelTotal], unlabelled: float | None = None) -> str:
    """One or two sentences: the three most frequent labels, and the share without a label.

    Args:
        totals: the totals of all labels.
        unlabelled: share of the paragraphs without a label. None with a single-label model.
    """
    first, *others = sorted(totals, key=lambda total: -total.paragraphs)[:3]
    others = [total for total in others if total.paragraphs]
    if not first.paragraphs:
        return "No paragraph has a label."
    verb = "leads in" if unlabelled is None else "is a label of"
    sentence = f"{first.label[:1].upper()}{first.label[1:]} {verb} {percent(first.share)} of the paragraphs"
    if others:
        sentence += ", followed by " + " and ".join(f"{total.label} ({percent(total.share)})" for total in others)
    if unlabelled is None:
        return sentence + "."
    rest = f"{percent(unlabelled)} of the paragraphs have no label" if unlabelled else "Every paragraph has a label"
    return f"{sentence}. {rest}."


def group_failures(failures: Iterable[FailureRecord]) -> list[FailureGroup]:
    """A group for each status, by descending number of failures."""
    counts: Counter[str] = Counter()
    reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
    ids: defaultdict[str, list[str | int]] = defaultdict(list)
    for failure in failures:
        counts[failure.status] += 1
        reasons[failure.status][failure.reason] += 1
        if len(ids[failure.status]) < EXAMPLE_IDS:
            ids[failure.status].append(failure.id)
    return [
        FailureGroup(status, count, reasons[status].most_common(1)[0][0], tuple(ids[status]))
        for status, count in counts.most_common()
    ]
